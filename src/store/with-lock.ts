import { LockFile } from '../native/lock-file.ts';
import { BRIEF, forever, waitUntil } from './patience.ts';

/**
 * Runs `work` while this process alone has the lock of a file, or directory, that others have for moments only: it waits as
 * long as it takes.
 * @throws ByrefError as LockFile
 */
export async function withLock<T>(
  path: string,
  what: 'file' | 'directory',
  work: () => T | Promise<T>,
): Promise<T> {
  const lock = new LockFile(path, what);
  try {
    await waitUntil(
      () => lock.try('exclusive'),
      () => '',
      forever(BRIEF),
    );
    return await work();
  } finally {
    lock.release();
  }
}
