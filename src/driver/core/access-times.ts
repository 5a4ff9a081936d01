/**
 * Access times of directories and symlinks that the env made. They are moved in memory, as with ext4's `lazytime`, and
 * written with the inode's next change, or once the kernel forgets it: a listing costs no journal record. Those of files are
 * the private files' (see Blobs), and those of templates stay.
 */
import { isPrivateIno } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { withColdXattrs } from './cold-xattrs.ts';
import { type Core, stamp } from './core.ts';
import type { Inode } from './inode.ts';

/** Older than this, an access time moves in any case. */
const DAY_SECONDS = 24 * 60 * 60;

/** A directory was listed, or a symlink read. */
export function accessed(core: Core, inode: Inode): void {
  const { record } = inode;
  const rule = isDir(record.mode) ? core.accessRules.dirs : core.accessRules.files;
  if (rule === 'noatime' || !isPrivateIno(inode.ino) || record.nlink === 0) return;
  const { sec, nsec } = stamp(core);
  if (rule === 'relatime' && !isDue(record, sec)) return;
  inode.record = withColdXattrs({ ...record, atime: sec, atimeNs: nsec }, core.delta);
  inode.accessed = true;
}

/** relatime: nobody knows yet that it was read since its last change, or today. */
function isDue(record: InodeRecord, now: number): boolean {
  const { atime, atimeNs, mtime, mtimeNs, ctime, ctimeNs } = record;
  if (mtime > atime || (mtime === atime && mtimeNs >= atimeNs)) return true;
  if (ctime > atime || (ctime === atime && ctimeNs >= atimeNs)) return true;
  return now - atime >= DAY_SECONDS;
}

/** The inode is about to be let go of: its access time is written, if there is room for it. */
export function keepAccessTime(core: Core, inode: Inode): void {
  if (!inode.accessed || inode.record.nlink === 0) return;
  core.tx.begin().set(inode, inode.record);
  core.tx.commit();
}
