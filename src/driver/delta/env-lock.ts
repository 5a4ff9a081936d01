import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { O_CLOEXEC, O_CREAT, O_RDWR } from '../../base/mode.ts';
import { AT_FDCWD, native } from '../../native/binding.ts';
import { LOCK_FILE } from './layout.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const CLEAN = 'clean\n';
const CONTENT_MAX = 64;

/**
 * The right to write an env: an flock on its `lock` file. The file says who holds it ("pid 123"), or that the last
 * holder left nothing undone ("clean"). A holder that died leaves its pid.
 */
export class EnvLock {
  readonly #fd: number;
  /** True if the previous holder closed the delta properly, or if there was none. */
  readonly wasClean: boolean;
  /** True if the file was empty. */
  readonly wasEmpty: boolean;
  #synced = false;

  private constructor(fd: number, content: string) {
    this.#fd = fd;
    this.wasClean = ['', CLEAN].includes(content);
    this.wasEmpty = content === '';
  }

  /** Takes the lock. Throws ByrefError 'locked' while another process holds it. */
  static acquire(envDir: string): EnvLock {
    const file = path.join(envDir, LOCK_FILE);
    const fd = native.openAt(AT_FDCWD, file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
    if (fd < 0) {
      throw new ByrefError(
        'error',
        `cannot open ${file} (errno ${-fd})`,
        'Check that the env exists and that its file system can be written.',
      );
    }
    const content = read(fd);
    if (native.flock(fd, LOCK_EX | LOCK_NB) < 0) {
      native.close(fd);
      throw lockedError(envDir, content);
    }
    // Read again, because the previous holder's last word counts.
    const last = read(fd);
    write(fd, `pid ${process.pid}\n`);
    return new EnvLock(fd, last);
  }

  /** Puts on disk that there is a holder, once: after a power cut the file then shows that there was one. */
  async sync(): Promise<number> {
    if (this.#synced) return 0;
    const result = await native.fsyncAsync(this.#fd, false);
    this.#synced = result === 0;
    return result;
  }

  /** Releases the lock. `clean`: nothing is left for the next holder to recover or sweep. */
  async release(clean: boolean): Promise<void> {
    if (clean) {
      write(this.#fd, CLEAN);
      if (this.#synced) await native.fsyncAsync(this.#fd, false);
    }
    native.close(this.#fd);
  }
}

/** Returns true if the env's last holder closed it properly, so that all of its changes are in the link table. */
export function closedProperly(envDir: string): boolean {
  const fd = native.openAt(AT_FDCWD, path.join(envDir, LOCK_FILE), O_CLOEXEC, 0);
  if (fd < 0) return false;
  const content = read(fd);
  native.close(fd);
  return content === CLEAN;
}

function read(fd: number): string {
  const bytes = Buffer.alloc(CONTENT_MAX);
  const length = native.pread(fd, bytes, 0, CONTENT_MAX, 0);
  return bytes.toString('latin1', 0, Math.max(length, 0));
}

function write(fd: number, text: string): void {
  const bytes = Buffer.from(text, 'latin1');
  // On a full disk the old content stays, which errs on the side of "not clean".
  if (native.ftruncate(fd, 0) < 0) return;
  native.pwrite(fd, bytes, 0, bytes.length, 0);
}

function lockedError(envDir: string, content: string): ByrefError {
  const pid = /^pid (\d+)/.exec(content)?.[1];
  const holder = pid === undefined ? 'another process' : `process ${pid}`;
  return new ByrefError(
    'locked',
    `the env in ${envDir} is in use by ${holder}`,
    'Unmount the env, or wait for the command that is using it to end.',
  );
}
