/**
 * The store's writer role: an flock on meta/writer.lock. It is held for transactions and what must not come between them,
 * not while something is read, hashed or built.
 */
import { ByrefError } from '../base/error.ts';
import { type FileLock, isHeld, LockFile, signer } from './file-lock.ts';
import { BRIEF, describeProcess, type Patience, waitUntil } from './patience.ts';
import { writerLockPath } from './root.ts';

export type WriterLock = FileLock;

/** @throws ByrefError 'locked' when other processes keep the role for longer than that */
export async function takeWriterLock(
  root: string,
  patience: Patience = BRIEF,
): Promise<WriterLock> {
  const path = writerLockPath(root);
  const file = new LockFile(path);
  const holder = (): string => `${describeProcess(signer(path))}, which is writing to the store`;
  try {
    if (await waitUntil(() => file.try('exclusive'), holder, patience)) {
      return { release: () => file.close() };
    }
    throw lockedBy(signer(path), root, patience);
  } catch (error) {
    file.close();
    throw error;
  }
}

/** True while a process has the writer role. */
export const hasWriter = (root: string): boolean => isHeld(writerLockPath(root), 'exclusive');

function lockedBy(pid: number | null, root: string, { ms }: Patience): ByrefError {
  const waited = ms === 0 ? '' : ` (waited ${ms / 1000} s)`;
  return new ByrefError(
    'locked',
    `${describeProcess(pid)} is writing to the store in ${root}${waited}`,
    'Run this again when it has finished, or wait longer for it: --wait 10m.',
  );
}
