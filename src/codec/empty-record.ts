import type { Ino } from '../base/ids.ts';
import {
  DATA_NONE,
  DIRECTORY_BLOCKS,
  DIRECTORY_LINKS,
  DIRECTORY_SIZE,
  type InodeRecord,
} from './inode-record.ts';

/** What the record of every directory without subdirectories has. */
export const EMPTY_DIRECTORY = {
  nlink: DIRECTORY_LINKS,
  size: DIRECTORY_SIZE,
  blocks: DIRECTORY_BLOCKS,
} as const;

/**
 * Returns a record that says nothing about an inode but its number, for the caller to fill in or to spread. All
 * records come from here, so that V8 gives them one shape: functions that read millions of them stay monomorphic.
 */
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
