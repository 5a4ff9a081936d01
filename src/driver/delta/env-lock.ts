import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { procText } from '../../base/proc.ts';
import { LockFile } from '../../native/lock-file.ts';
import { LOCK_FILE } from './layout.ts';

const CLEAN = 'clean\n';

/**
 * The right to write an env: a lock on its file `lock`. The file says who holds it ("pid 123"), or that the last
 * holder left nothing undone ("clean"). A holder that died leaves its pid.
 */
export class EnvLock {
  readonly #file: LockFile;
  /** True if the previous holder closed the delta properly, or if there was none. */
  readonly wasClean: boolean;
  /** True if the file was empty. */
  readonly wasEmpty: boolean;
  #synced = false;

  /** @param file the lock, held @param content the last word of the previous holder */
  private constructor(file: LockFile, content: string) {
    this.#file = file;
    this.wasClean = ['', CLEAN].includes(content);
    this.wasEmpty = content === '';
  }

  /** Takes the lock. @throws ByrefError 'locked' while another process holds it */
  static acquire(envDir: string): EnvLock {
    const file = new LockFile(path.join(envDir, LOCK_FILE));
    try {
      if (!file.try('exclusive')) throw lockedError(envDir, file.read());
    } catch (error) {
      file.release();
      throw error;
    }
    const content = file.read();
    // On a full disk the old content stays, which errs on the side of "not clean".
    file.write(`pid ${process.pid}\n`);
    return new EnvLock(file, content);
  }

  /** Puts on disk that there is a holder, once: after a power cut the file then shows that there was one. */
  async sync(): Promise<number> {
    if (this.#synced) return 0;
    const result = await this.#file.sync();
    this.#synced = result === 0;
    return result;
  }

  /** Releases the lock. `clean`: nothing is left for the next holder to recover or sweep. */
  async release(clean: boolean): Promise<void> {
    if (clean) {
      this.#file.write(CLEAN);
      if (this.#synced) await this.#file.sync();
    }
    this.#file.release();
  }
}

/** Returns true if the env's last holder closed it properly, so that all of its changes are in the link table. */
export const closedProperly = (envDir: string): boolean =>
  procText(path.join(envDir, LOCK_FILE)) === CLEAN;

function lockedError(envDir: string, content: string): ByrefError {
  const pid = /^pid (\d+)/.exec(content)?.[1];
  const holder = pid === undefined ? 'another process' : `process ${pid}`;
  return new ByrefError(
    'locked',
    `the env in ${envDir} is in use by ${holder}`,
    'Unmount the env, or wait for the command that is using it to end.',
  );
}
