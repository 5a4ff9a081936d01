/**
 * Keeps objects from being removed while some are being stored. It is an flock on objects/ itself, shared by
 * all processes that store objects, and taken exclusively by one that removes some. Minutes may pass between
 * the hashing of a file and the commit of the row that names its object. No object is removed meanwhile:
 * neither one that is published and has no row yet, nor one that was found in the store and may lose its last
 * row just now.
 */
import { type FileLock, isHeld, LockFile } from '../native/lock-file.ts';
import { BRIEF, forever, type Patience, waitUntil } from './patience.ts';

/**
 * Takes the shared lock. Waits as long as another process removes objects, which never takes long.
 * @param objects the directory
 */
export async function keepObjects(objects: string, patience: Patience = BRIEF): Promise<FileLock> {
  const file = new LockFile(objects, 'directory');
  const holder = (): string => 'another process, which is removing objects';
  await waitUntil(() => file.try('shared'), holder, forever(patience));
  return file;
}

/** Takes the lock to remove objects; returns null while other processes store some. */
export function tryRemoving(objects: string): FileLock | null {
  const file = new LockFile(objects, 'directory');
  if (file.try('exclusive')) return file;
  file.release();
  return null;
}

/** Returns true while a process stores objects, or removes some. */
export const isStoring = (objects: string): boolean => isHeld(objects, 'at-all');
