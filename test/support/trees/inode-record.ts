import type { Ino } from '../../../src/base/ids.ts';
import { S_IFREG } from '../../../src/base/mode.ts';
import { emptyRecord } from '../../../src/codec/empty-record.ts';
import type { InodeRecord } from '../../../src/codec/inode-record.ts';

/** An inode record of an empty file, with these fields instead. */
export function inode(number: number, fields: Partial<InodeRecord> = {}): InodeRecord {
  return {
    ...emptyRecord(number as Ino),
    mode: S_IFREG | 0o644,
    uid: 1000,
    gid: 1000,
    atime: 1_700_000_000,
    atimeNs: 1,
    mtime: 1_700_000_001,
    mtimeNs: 2,
    ctime: 1_700_000_002,
    ctimeNs: 3,
    ...fields,
  };
}
