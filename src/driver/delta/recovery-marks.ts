import type { Ino } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { isOrphan, isUnsynced } from './table-rows.ts';

/** Which inodes of the delta are orphans (no name left), and whose copied-up bytes are not on disk. */
export class RecoveryMarks {
  readonly orphans = new Set<Ino>();
  /**
   * A number per copy: an inode that is forgotten and copied up again has another, so that the sync of
   * the first copy is not taken for one of the second.
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
