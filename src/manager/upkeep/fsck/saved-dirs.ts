import type { Ino } from '../../../base/ids.ts';
import type { DirEntryRef } from '../../../driver/core/ports.ts';
import { SAVED_INO } from '../../../driver/core/set-aside.ts';

/**
 * Returns true for the two levels of directories that hold files which patches set aside: their links are not
 * counted.
 */
export function isSavedDir(places: ReadonlyMap<Ino, DirEntryRef>, dir: Ino): boolean {
  const parent = places.get(dir)?.dir;
  if (parent === undefined) return false;
  return parent === SAVED_INO || places.get(parent)?.dir === SAVED_INO;
}
