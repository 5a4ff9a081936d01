import type { Ino } from '../base/ids.ts';
import { DATA_NONE, type InodeRecord } from './inode-record.ts';

/** Returns a record that says nothing about an inode but its number, for the caller to fill in. */
export const emptyRecord = (ino: Ino): InodeRecord => ({
  ino,
  mode: 0,
  uid: 0,
  gid: 0,
  rdev: 0,
  nlink: 1,
  size: 0,
  blocks: 0,
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
  parent: 0,
  name: '',
  stamp: 0,
  baseCtime: 0,
  baseCtimeNs: 0,
});
