import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { native } from '../native/binding.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Makes this process the only one of its kind: locks the file with flock(2), which the kernel releases when the
 * process ends, in whatever way. Returns the descriptor, or null if another process has the lock.
 */
export function takeProcessLock(path: string): number | null {
  const fd = openSync(path, 'a', 0o600);
  if (native.flock(fd, LOCK_EX | LOCK_NB) < 0) {
    closeSync(fd);
    return null;
  }
  ftruncateSync(fd, 0);
  writeSync(fd, `${process.pid}\n`);
  return fd;
}

/** Returns the pid that was last written to the lock file, alive or not; 0 if there is none. */
export function lockOwner(path: string): number {
  try {
    return Number.parseInt(readFileSync(path, 'utf8'), 10) || 0;
  } catch {
    return 0;
  }
}
