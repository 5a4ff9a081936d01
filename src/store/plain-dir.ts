import type { Ino, Name } from '../base/ids.ts';
import { S_IFDIR } from '../base/mode.ts';
import { EMPTY_DIRECTORY, emptyRecord } from '../codec/empty-record.ts';
import type { InodeRecord } from '../codec/inode-record.ts';

/** Returns the record of a directory of which nothing but its place is known: mode 0755, owned by root. */
export const plainDir = (ino: Ino, parent: Ino | 0, name: Name): InodeRecord => ({
  ...emptyRecord(ino),
  parent,
  name,
  mode: S_IFDIR | 0o755,
  ...EMPTY_DIRECTORY,
});
