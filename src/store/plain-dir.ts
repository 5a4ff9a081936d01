import type { Ino, Name } from '../base/ids.ts';
import { S_IFDIR } from '../base/mode.ts';
import { emptyRecord } from '../codec/empty-record.ts';
import type { InodeRecord } from '../codec/inode-record.ts';

/** A directory of which only the place is known. */
export const plainDir = (ino: Ino, parent: Ino | 0, name: Name): InodeRecord => ({
  ...emptyRecord(ino),
  parent,
  name,
  mode: S_IFDIR | 0o755,
  nlink: 2,
  size: 4096,
  blocks: 8,
});
