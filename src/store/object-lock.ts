/**
 * Keeps objects that are being stored: an flock on objects/ itself, shared by all processes that store some, taken alone by one that removes
 * some. From the hash of a file until the commit of the row that names its object, minutes may pass. No object goes meanwhile: neither
 * one that was published and has no row yet, nor one that was found there and may lose its last row just now.
 */
import { type FileLock, isHeld, LockFile } from './file-lock.ts';
import { BRIEF, forever, type Patience, waitUntil } from './patience.ts';

/** Waits as long as somebody removes objects: that is never long. @param objects the directory */
export async function keepObjects(objects: string, patience: Patience = BRIEF): Promise<FileLock> {
  const file = new LockFile(objects, 'directory');
  const holder = (): string => 'another process, which is removing objects';
  await waitUntil(() => file.try('shared'), holder, forever(patience));
  return once(file);
}

/** The right to remove objects; null while others store some. */
export function tryRemoving(objects: string): FileLock | null {
  const file = new LockFile(objects, 'directory');
  if (file.try('exclusive')) return once(file);
  file.close();
  return null;
}

/** True while a process stores objects, or removes some. */
export const isStoring = (objects: string): boolean => isHeld(objects, 'at-all');

function once(file: LockFile): FileLock {
  let held = true;
  return {
    release() {
      if (held) file.close();
      held = false;
    },
  };
}
