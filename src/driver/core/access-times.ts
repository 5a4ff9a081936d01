/**
 * Access times of directories and symlinks that the env made. They are updated in memory, as with ext4's
 * `lazytime`, and written with the inode's next change, or when the kernel forgets it: so a listing costs no
 * journal record. Files have the access times of their private files (see Blobs); those of templates never change.
 */
import { isPrivateIno } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { withColdParts } from './cold-parts.ts';
import { type Core, stamp } from './core.ts';
import type { Inode } from './inode.ts';

/** relatime: an access time older than this is always updated. */
const DAY_SECONDS = 24 * 60 * 60;

/** Updates the access time of a directory that was listed, or a symlink that was read. */
export function accessed(core: Core, inode: Inode): void {
  const { record } = inode;
  const rule = isDir(record.mode) ? core.accessRules.dirs : core.accessRules.files;
  if (rule === 'noatime' || !isPrivateIno(inode.ino) || record.nlink === 0) return;
  const { sec, nsec } = stamp(core);
  if (rule === 'relatime' && !isDue(record, sec)) return;
  inode.record = withColdParts({ ...record, atime: sec, atimeNs: nsec }, core.delta);
  inode.accessed = true;
}

/** Applies relatime's rule: the access time is updated if it is not after the last change, or is a day old. */
function isDue(record: InodeRecord, now: number): boolean {
  const { atime, atimeNs, mtime, mtimeNs, ctime, ctimeNs } = record;
  if (mtime > atime || (mtime === atime && mtimeNs >= atimeNs)) return true;
  if (ctime > atime || (ctime === atime && ctimeNs >= atimeNs)) return true;
  return now - atime >= DAY_SECONDS;
}

/** Writes the access time of an inode that is about to be dropped from memory, if the disk has room. */
export function keepAccessTime(core: Core, inode: Inode): void {
  if (!inode.accessed || inode.record.nlink === 0) return;
  core.tx.begin().set(inode, inode.record);
  core.tx.commit();
}
