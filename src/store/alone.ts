/** For a repair: nobody else writes, and nobody stores objects. */
import { ByrefError } from '../base/error.ts';
import { type FileLock, isHeld, LockFile, signer } from './file-lock.ts';
import { tryRemoving } from './object-lock.ts';
import { BRIEF, describeProcess, type Patience, waitUntil } from './patience.ts';
import { objectsDir, writerLockPath } from './root.ts';
import { lockedBy } from './writer-lock.ts';

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
  const taken: FileLock[] = [];
  const works = (): boolean => {
    const objects = tryRemoving(objectsDir(root));
    if (objects !== null && file.try('exclusive')) return taken.push(objects) > 0;
    objects?.release();
    return false;
  };
  const isWritten = (): boolean => isHeld(path, 'exclusive');
  const holder = (): string =>
    isWritten()
      ? `${describeProcess(signer(path))}, which is writing to the store`
      : 'processes that import or build';
  await waitUntil(works, holder, patience);
  const [objects] = taken;
  if (objects !== undefined) return { writer: { release: () => file.close() }, objects };
  file.close();
  if (isWritten()) throw lockedBy(root, patience);
  const message = `other processes store what they import or build in ${root}`;
  throw new ByrefError('locked', message, 'Run this again later, or wait longer: --wait 10m.');
}
