/** For a repair: nobody else writes, and nobody stores objects. */
import { ByrefError } from '../base/error.ts';
import { type FileLock, LockFile, signer } from './file-lock.ts';
import { tryRemoving } from './object-lock.ts';
import { BRIEF, describeProcess, type Patience, waitUntil } from './patience.ts';
import { objectsDir, writerLockPath } from './root.ts';

export interface Alone {
  readonly writer: FileLock;
  /** Released earlier, if something is to be stored. */
  readonly objects: FileLock;
}

/**
 * Takes both or, while it waits, neither: who has one of them may wait for the other.
 * @throws ByrefError 'locked'
 */
export async function takeAlone(root: string, patience: Patience = BRIEF): Promise<Alone> {
  const path = writerLockPath(root);
  const file = new LockFile(path);
  let objects: FileLock | null = null;
  const works = (): boolean => {
    objects = tryRemoving(objectsDir(root));
    if (objects !== null && file.try('exclusive')) return true;
    objects?.release();
    objects = null;
    return false;
  };
  const holder = (): string => `${describeProcess(signer(path))}, or another one that writes`;
  await waitUntil(works, holder, patience);
  if (objects !== null) return { writer: { release: () => file.close() }, objects };
  file.close();
  const message = `other processes write to the store in ${root}, or store files in it`;
  throw new ByrefError('locked', message, 'Run this again later, or wait longer: --wait 10m.');
}
