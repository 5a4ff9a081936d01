/**
 * The store's writer's lock: an flock on meta/writer.lock. It is held for transactions and for what must not
 * come between them, but not while something is read, hashed or built.
 */
import { ByrefError } from '../base/error.ts';
import { type FileLock, isHeld, LockFile, signer } from '../native/lock-file.ts';
import { BRIEF, describeProcess, type Patience, waitUntil } from './patience.ts';
import { writerLockPath } from './root.ts';

/** The writer's lock, held. */
export type WriterLock = FileLock;

/**
 * Takes the writer's lock, waiting for other processes as patience says.
 * @throws ByrefError 'locked' when others keep it for longer
 */
export async function takeWriterLock(
  root: string,
  patience: Patience = BRIEF,
): Promise<WriterLock> {
  const path = writerLockPath(root);
  const file = new LockFile(path);
  const holder = (): string => `${describeProcess(signer(path))}, which is writing to the store`;
  try {
    if (await waitUntil(() => file.try('exclusive'), holder, patience)) {
      file.sign();
      return file;
    }
    throw lockedBy(root, patience);
  } catch (error) {
    file.release();
    throw error;
  }
}

/** Returns true while a process has the writer's lock. */
export const hasWriter = (root: string): boolean => isHeld(writerLockPath(root), 'exclusive');

/** Returns the error for a wait for the writer's lock that ended in vain. */
export function lockedBy(root: string, { signal }: Patience): ByrefError {
  const message = `${describeProcess(signer(writerLockPath(root)))} is writing to the store in ${root}`;
  const hint = 'Run this again when it has finished, or wait longer for it: --wait 10m.';
  return signal?.aborted === true ? interruptedBefore() : new ByrefError('locked', message, hint);
}

const interruptedBefore = (): ByrefError =>
  new ByrefError('error', 'it was interrupted while it waited', 'Nothing was changed.');
