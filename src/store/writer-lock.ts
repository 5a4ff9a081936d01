/**
 * The store's writer role: an flock on meta/writer.lock. The kernel drops it with the process, so a
 * crash leaves no stale lock; the pid inside is only for the message.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { EAGAIN } from '../base/errno.ts';
import { ByrefError } from '../base/error.ts';
import { O_CLOEXEC, O_CREAT, O_RDWR } from '../base/mode.ts';
import { AT_FDCWD, native } from '../native/binding.ts';
import { writerLockPath } from './root.ts';

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_MODE = 0o600;
const POLL_MS = 50;
/** How long a second writer waits: most commands write for a few milliseconds. */
const PATIENCE_MS = 3000;

export interface WriterLock {
  release(): void;
}

/** @throws ByrefError 'locked' when another process keeps the role for longer than a few seconds */
export async function takeWriterLock(root: string, patienceMs = PATIENCE_MS): Promise<WriterLock> {
  const file = writerLockPath(root);
  const fd = native.openAt(AT_FDCWD, file, O_RDWR | O_CREAT | O_CLOEXEC, LOCK_MODE);
  if (fd < 0) {
    throw new ByrefError('error', `can't open ${file} (errno ${-fd})`, 'Run byref as root.');
  }
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const result = native.flock(fd, LOCK_EX | LOCK_NB);
    if (result === 0) break;
    if (result !== -EAGAIN || Date.now() >= deadline) {
      native.close(fd);
      throw lockedBy(file, root);
    }
    await sleep(POLL_MS);
  }
  const pid = Buffer.from(`${process.pid}\n`);
  native.ftruncate(fd, 0);
  native.pwrite(fd, pid, 0, pid.length, 0);
  return {
    release() {
      native.close(fd);
    },
  };
}

/** True while a process has the writer role. Nobody who wants it is kept from it by the question. */
export function hasWriter(root: string): boolean {
  const fd = native.openAt(AT_FDCWD, writerLockPath(root), O_RDWR | O_CLOEXEC, 0);
  if (fd < 0) return false;
  const held = native.flock(fd, LOCK_SH | LOCK_NB) === -EAGAIN;
  native.close(fd);
  return held;
}

function lockedBy(file: string, root: string): ByrefError {
  const pid = readFileSync(file, 'utf8').trim() || 'unknown';
  return new ByrefError(
    'locked',
    `process ${pid} is writing to the store in ${root}`,
    'Wait until it has finished, then run this again.',
  );
}
