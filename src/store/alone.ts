/** Takes both of the store's locks, for a repair: then no other process writes, and none stores objects. */
import { ByrefError } from '../base/error.ts';
import { type FileLock, isHeld, LockFile, signer } from '../native/lock-file.ts';
import { tryRemoving } from './object-lock.ts';
import { BRIEF, describeProcess, type Patience, waitUntil } from './patience.ts';
import { objectsDir, writerLockPath } from './root.ts';
import { lockedBy } from './writer-lock.ts';

/** The two locks that keep all other processes out. */
export interface Alone {
  /** The writer's lock. */
  readonly writer: FileLock;
  /** The lock against storing objects. It is released earlier if the repair has to store some. */
  readonly objects: FileLock;
}

/**
 * Takes both locks. It holds neither while it waits, since a process with one of them may wait for the other.
 * @throws ByrefError 'locked'
 */
export async function takeAlone(root: string, patience: Patience = BRIEF): Promise<Alone> {
  const path = writerLockPath(root);
  const file = new LockFile(path);
  const taken: FileLock[] = [];
  const works = (): boolean => {
    const objects = tryRemoving(objectsDir(root));
    if (objects !== null && file.try('exclusive')) {
      file.sign();
      return taken.push(objects) > 0;
    }
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
  if (objects !== undefined) return { writer: file, objects };
  file.release();
  if (isWritten()) throw lockedBy(root, patience);
  const message = `other processes store what they import or build in ${root}`;
  throw new ByrefError('locked', message, 'Run this again later, or wait longer: --wait 10m.');
}
