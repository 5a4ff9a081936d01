/**
 * Locks a file or directory of the root with flock(2). The kernel releases the lock when the process ends, so a
 * crash leaves no stale lock.
 */
import { EAGAIN, ENOSPC } from '../base/errno.ts';
import { ByrefError } from '../base/error.ts';
import { O_CLOEXEC, O_CREAT, O_RDONLY, O_RDWR } from '../base/mode.ts';
import { procText } from '../base/proc.ts';
import { AT_FDCWD, native } from '../native/binding.ts';

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_MODE = 0o600;

/** A lock that is held. */
export interface FileLock {
  release(): void;
}

/** An open file or directory to lock: try() until it works, then close() to release it. */
export class LockFile {
  private readonly file: string;
  private readonly fd: number;
  private readonly isFile: boolean;

  /**
   * Opens it. @param what a 'file', which is created if it is missing, or a 'directory'
   * @throws ByrefError 'noSpace', 'error'
   */
  constructor(file: string, what: 'file' | 'directory' = 'file') {
    this.file = file;
    this.isFile = what === 'file';
    const flags = this.isFile ? O_RDWR | O_CREAT : O_RDONLY;
    this.fd = native.openAt(AT_FDCWD, file, flags | O_CLOEXEC, LOCK_MODE);
    if (this.fd >= 0) return;
    if (-this.fd === ENOSPC) {
      const message = `no space left on the device of ${file}`;
      throw new ByrefError('noSpace', message, 'Free some space, then run this again.');
    }
    throw new ByrefError('error', `can't open ${file} (errno ${-this.fd})`, 'Run byref as root.');
  }

  /**
   * Tries to take the lock without waiting. True means that it is held until close(). A locked file then
   * contains our pid, for messages.
   * @throws ByrefError 'error'
   */
  try(kind: 'shared' | 'exclusive'): boolean {
    const how = kind === 'shared' ? LOCK_SH : LOCK_EX;
    const result = native.flock(this.fd, how | LOCK_NB);
    if (result < 0 && result !== -EAGAIN) {
      throw new ByrefError('error', `can't lock ${this.file} (errno ${-result})`, 'See flock(2).');
    }
    if (result === 0) this.sign();
    return result === 0;
  }

  private sign(): void {
    if (!this.isFile) return;
    const pid = Buffer.from(`${process.pid}\n`);
    native.ftruncate(this.fd, 0);
    native.pwrite(this.fd, pid, 0, pid.length, 0);
  }

  close(): void {
    native.close(this.fd);
  }
}

/**
 * Returns true while a process holds the lock, or ('exclusive') holds it alone. The question itself keeps
 * nobody from taking it for longer than a moment.
 */
export function isHeld(file: string, kind: 'exclusive' | 'at-all'): boolean {
  const fd = native.openAt(AT_FDCWD, file, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return false;
  const held = native.flock(fd, (kind === 'exclusive' ? LOCK_SH : LOCK_EX) | LOCK_NB) === -EAGAIN;
  native.close(fd);
  return held;
}

/** Returns the pid of the process that took the lock last; null if the file names none. */
export function signer(file: string): number | null {
  const pid = Number.parseInt(procText(file), 10);
  return Number.isSafeInteger(pid) && pid > 0 ? pid : null;
}
