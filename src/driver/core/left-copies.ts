/**
 * Gives back copies of template files that were open for writing when their driver, or the machine, was killed. It
 * is no longer known whether anything was written to them, so a copy goes only if all of it equals the template's
 * file.
 */
import { failpoint } from '../../base/failpoints.ts';
import { type Ino, isPrivateIno } from '../../base/ids.ts';
import { DATA_OBJECT, DATA_PRIVATE, type InodeRecord } from '../../codec/inode-record.ts';
import { sameXattrs } from '../../codec/same-inode.ts';
import { emptyBlobStat } from './blob-stat.ts';
import type { Core } from './core.ts';
import { countAgain } from './names.ts';
import type { DirEntryRef } from './ports.ts';

/** Bytes compared at one mount: from memory that takes some 20 ms. */
const COMPARED_MAX = 64 * 1024 * 1024;

const blobStat = emptyBlobStat();

/** Implements EnvFileSystem.giveBackLeft. A failure (a full disk) leaves the rest for another time. */
export function giveBackLeft(core: Core, inos: Iterable<Ino>): number {
  let given = 0;
  let left = COMPARED_MAX;
  for (const ino of inos) {
    if (isPrivateIno(ino) || left < 0) continue;
    const record = core.delta.inode(ino);
    const below = core.lower.inode(ino);
    if (record === null || below === null || !looksSame(core, record, below)) continue;
    const places = core.lower.names(ino);
    if (!areItsNames(core, record, places) || core.blobs.isUnused(ino) !== 0) continue;
    left -= below.size;
    if (!looksSame(core, record, below) || !hasSameBytes(core, below)) continue;
    core.tx.begin().forget(ino);
    for (const { dir, name } of places) {
      core.tx.clearName(dir, name);
      countAgain(core, dir, core.inodes.stampOf(dir));
    }
    if (core.tx.commit() < 0) return given;
    failpoint('left-copy-given-back');
    core.blobs.removePrivate(ino, true);
    given++;
  }
  return given;
}

/**
 * Returns true if the record is as the copy-up made it, and the copy can differ from the template's file only in
 * its bytes.
 */
function looksSame(core: Core, record: InodeRecord, below: InodeRecord): boolean {
  if (record.data !== DATA_PRIVATE || below.data === DATA_PRIVATE) return false;
  const { mode, uid, gid, xattrs } = record;
  // Every change of attributes or names changes the ctime.
  if (record.ctime !== below.ctime || record.ctimeNs !== below.ctimeNs) return false;
  if (mode !== below.mode || uid !== below.uid || gid !== below.gid) return false;
  if (!sameXattrs(xattrs, below.xattrs) || core.blobs.statPrivate(record.ino, blobStat) < 0) {
    return false;
  }
  const { size, mtime, mtimeNs } = blobStat;
  return size === below.size && mtime === below.mtime && mtimeNs === below.mtimeNs;
}

const hasSameBytes = (core: Core, { ino, size, data, object }: InodeRecord): boolean =>
  size === 0 || (data === DATA_OBJECT && object !== '' && core.blobs.hasBytesOf(ino, object));

/** Returns true if the file has exactly the names that the templates give it. */
function areItsNames(
  core: Core,
  { ino, nlink }: InodeRecord,
  places: readonly DirEntryRef[],
): boolean {
  if (places.length !== nlink) return false;
  return places.every(
    ({ dir, name }) =>
      core.delta.name(dir, name)?.ino === ino && core.lower.lookup(dir, name)?.ino === ino,
  );
}
