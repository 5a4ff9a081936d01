import type { Ino } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { isOrphan, isUnsynced } from './table-rows.ts';

/**
 * The inodes of a delta that recovery must look at: orphans (no name left), and copied-up files whose bytes are
 * not on disk.
 */
export class RecoveryMarks {
  readonly orphans = new Set<Ino>();
  /**
   * Un-synced copies, each with a number of its own. An inode that is forgotten and copied up again gets another
   * number, so that the sync of the first copy is not taken for one of the second.
   */
  readonly unsynced = new Map<Ino, number>();
  #copies = 0;

  update(ino: Ino, record: InodeRecord | null): void {
    if (record !== null && isOrphan(record)) this.orphans.add(ino);
    else this.orphans.delete(ino);
    if (record === null || !isUnsynced(record)) this.unsynced.delete(ino);
    else if (!this.unsynced.has(ino)) this.unsynced.set(ino, ++this.#copies);
  }
}
