/**
 * Locks files and directories with flock(2). The kernel releases a lock when the process ends, in whatever way, so
 * a crash leaves none. How to wait for a lock: store/patience.ts.
 */
import { EAGAIN, ENOSPC } from '../base/errno.ts';
import { ByrefError } from '../base/error.ts';
import { O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_RDONLY, O_RDWR } from '../base/mode.ts';
import { procText } from '../base/proc.ts';
import { AT_FDCWD, native, STAT, STAT_SLOTS } from './binding.ts';
import { openFile } from './open-file.ts';

/** Bits of flock(2)'s operation. */
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_MODE = 0o600;
/** Lock files hold a pid, a word, or two short lines. */
const CONTENT_MAX = 256;

/** A lock that is held. */
export interface FileLock {
  /** Gives the lock up. Further calls do nothing. */
  release(): void;
  /** The descriptor: a child that gets it keeps the lock held until it ends, too. -1 once it is released. */
  readonly fd: number;
}

const here = new Float64Array(STAT_SLOTS);
const there = new Float64Array(STAT_SLOTS);

/** An open file or directory to lock: try() until it works, then release(). */
export class LockFile implements FileLock {
  private readonly path: string;
  private readonly what: 'file' | 'directory';
  fd: number;

  /**
   * Opens it. @param what a 'file', which is created if it is missing, or a 'directory'
   * @throws ByrefError 'noSpace', 'error'
   */
  constructor(path: string, what: 'file' | 'directory' = 'file') {
    this.path = path;
    this.what = what;
    this.fd = this.open();
  }

  /**
   * Tries to take the lock without waiting. True means that it is held until release(), and that the path leads
   * to what is locked: a file that was removed or replaced after it was opened locks nobody out, so the new one is
   * opened in its place.
   * @throws as the constructor
   */
  try(kind: 'shared' | 'exclusive'): boolean {
    for (;;) {
      const result = lockNow(this.fd, kind);
      if (result === -EAGAIN) return false;
      if (result < 0) {
        const message = `can't lock ${this.path} (errno ${-result})`;
        throw new ByrefError('error', message, 'See flock(2).');
      }
      if (this.isAtPath()) return true;
      this.release();
      this.fd = this.open();
    }
  }

  /** Returns the first bytes of the file as text. */
  read(): string {
    const bytes = Buffer.alloc(CONTENT_MAX);
    const length = native.pread(this.fd, bytes, 0, CONTENT_MAX, 0);
    return bytes.toString('latin1', 0, Math.max(length, 0));
  }

  /** Replaces the file's content, if the disk is not full: it is for messages, or can be worked out again. */
  write(text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    // In this order, who is killed in between leaves the new text, and never none.
    if (native.pwrite(this.fd, bytes, 0, bytes.length, 0) < bytes.length) return;
    native.ftruncate(this.fd, bytes.length);
  }

  /** Writes our pid into the file: see signer(). */
  sign(): void {
    this.write(`${process.pid}\n`);
  }

  /** Puts the file's content on disk. Returns 0 or -errno. */
  sync(): Promise<number> {
    return native.fsyncAsync(this.fd, false);
  }

  /** Releases the lock and closes the file. Further calls do nothing. */
  release(): void {
    if (this.fd >= 0) native.close(this.fd);
    this.fd = -1;
  }

  private open(): number {
    // A file is written to: not one that a symlink leads to.
    const flags = this.what === 'file' ? O_RDWR | O_CREAT | O_NOFOLLOW : O_RDONLY;
    const fd = openFile(AT_FDCWD, this.path, flags | O_CLOEXEC, LOCK_MODE);
    if (fd < 0) throw openError(this.path, -fd);
    return fd;
  }

  private isAtPath(): boolean {
    if (native.statFd(this.fd, here) < 0) return false;
    if (native.statAt(AT_FDCWD, this.path, there, 0) < 0) return false;
    return here[STAT.ino] === there[STAT.ino] && here[STAT.dev] === there[STAT.dev];
  }
}

function openError(path: string, errno: number): ByrefError {
  if (errno === ENOSPC) {
    const message = `no space left on the device of ${path}`;
    return new ByrefError('noSpace', message, 'Free some space, then run this again.');
  }
  const hint = 'Check that its directory exists and can be written to, and run byref as root.';
  return new ByrefError('error', `can't open ${path} (errno ${errno})`, hint);
}

const lockNow = (fd: number, kind: 'shared' | 'exclusive'): number =>
  native.flock(fd, (kind === 'shared' ? LOCK_SH : LOCK_EX) | LOCK_NB);

/**
 * Takes a lock alone, and signs it; returns null while another process has it.
 * @throws ByrefError as LockFile
 */
export function tryLock(path: string): FileLock | null {
  const file = new LockFile(path);
  try {
    if (file.try('exclusive')) {
      file.sign();
      return file;
    }
  } catch (error) {
    file.release();
    throw error;
  }
  file.release();
  return null;
}

/** Locks an open file alone, as long as this process, or one that inherits the descriptor, has it open. */
export function holdOpen(fd: number): void {
  lockNow(fd, 'exclusive');
}

/**
 * Returns true while a process holds the lock, or ('exclusive') holds it alone. The question itself keeps
 * nobody from taking it for longer than a moment.
 */
export function isHeld(path: string, kind: 'exclusive' | 'at-all'): boolean {
  const fd = native.openAt(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return false;
  const held = lockNow(fd, kind === 'exclusive' ? 'shared' : 'exclusive') === -EAGAIN;
  native.close(fd);
  return held;
}

/** Returns the pid of the process that signed the lock last, alive or not; null if the file names none. */
export function signer(path: string): number | null {
  const pid = Number.parseInt(procText(path), 10);
  return Number.isSafeInteger(pid) && pid > 0 ? pid : null;
}
