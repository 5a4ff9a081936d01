import { S_IFMT } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { Core } from './core.ts';
import type { DirEntryRef } from './ports.ts';

/**
 * Moves names of a file to an inode with a number of the env's own, in the open change: the old number is the
 * template's, and shows the template's file wherever the env has no record of it.
 * @param record of the file, with the links that it is to have
 * @param places all names that stay with the record
 */
export function renumber(core: Core, record: InodeRecord, places: readonly DirEntryRef[]): void {
  const ino = core.delta.allocate();
  core.tx.setNew({ ...record, ino });
  for (const { dir, name } of places) core.tx.setName(dir, name, ino, record.mode & S_IFMT);
}
