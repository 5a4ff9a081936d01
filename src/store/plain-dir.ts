import type { Ino, Name } from '../base/ids.ts';
import { S_IFDIR } from '../base/mode.ts';
import { DATA_NONE, type InodeRecord } from '../codec/inode-record.ts';

/** A directory of which only the place is known. */
export const plainDir = (ino: Ino, parent: Ino | 0, name: Name): InodeRecord => ({
  ino,
  parent,
  name,
  mode: S_IFDIR | 0o755,
  uid: 0,
  gid: 0,
  rdev: 0,
  nlink: 2,
  size: 4096,
  blocks: 8,
  atime: 0,
  atimeNs: 0,
  mtime: 0,
  mtimeNs: 0,
  ctime: 0,
  ctimeNs: 0,
  data: DATA_NONE,
  object: '',
  target: '',
  flags: 0,
  xattrs: null,
  stamp: 0,
  baseCtime: 0,
  baseCtimeNs: 0,
});
