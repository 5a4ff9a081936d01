import type { Name } from '../../base/ids.ts';
import { isReg } from '../../base/mode.ts';
import { DATA_OBJECT, type InodeRecord } from '../../codec/inode-record.ts';
import { makeStep, type Step } from '../../codec/steps.ts';
import type { DirEntryRef } from '../../driver/core/ports.ts';
import type { DeltaView } from '../../driver/delta/read-delta.ts';

/**
 * Returns the steps that put a package's conffile beside the administrator's one, as NAME.dpkg-dist, as dpkg does where it
 * can't ask. An older one goes, also when the package no longer has the file. None if the package's file does not change.
 * @param at the administrator's file
 * @param was, is the package's file in the version that the env leaves, and in the one that comes
 */
export function dpkgDistSteps(
  view: Pick<DeltaView, 'name' | 'inode'>,
  at: DirEntryRef,
  was: InodeRecord | null,
  is: InodeRecord | null,
): Step[] {
  const isNew = is !== null && isReg(is.mode) && was?.object !== is.object;
  if (is !== null && !isNew) return [];
  const place = { dir: at.dir, name: `${at.name}.dpkg-dist` as Name };
  const there = view.name(place.dir, place.name);
  const old = there === null || there.ino === 0 ? null : view.inode(there.ino);
  // A .dpkg-dist that is not the package's own file is somebody's work.
  if (old !== null && old.data !== DATA_OBJECT) return [];
  return [
    ...(old === null ? [] : [makeStep('relink', place, old.ino, old)]),
    ...(is === null ? [] : [makeStep('place', place, is.ino)]),
  ];
}
