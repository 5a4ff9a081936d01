import type { Ino, Name } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { withColdXattrs } from './cold-xattrs.ts';
import type { Inode } from './inode.ts';
import type { Change, Delta } from './ports.ts';

/**
 * One operation's changes: collected, committed to the journal as one record, and only then shown in
 * the inodes. If the commit fails (disk full) nothing has happened.
 */
export class Transaction {
  readonly #delta: Delta;
  #change: Change | null = null;
  readonly #inodes: Inode[] = [];
  readonly #records: InodeRecord[] = [];
  readonly #durable: boolean[] = [];

  constructor(delta: Delta) {
    this.#delta = delta;
  }

  begin(): this {
    this.#change = this.#delta.begin();
    this.#inodes.length = 0;
    this.#records.length = 0;
    this.#durable.length = 0;
    return this;
  }

  /** The inode's record as this transaction has it so far. */
  record(inode: Inode): InodeRecord {
    const at = this.#inodes.lastIndexOf(inode);
    return at < 0 ? inode.record : (this.#records[at] as InodeRecord);
  }

  /** The inode will be `record`, in the delta. */
  set(inode: Inode, record: InodeRecord): void {
    this.#open().setInode(record);
    this.#remember(inode, record, true);
  }

  /** The inode will be `record`, but the delta need not know: its last template name is gone. */
  setInMemory(inode: Inode, record: InodeRecord): void {
    this.#remember(inode, record, false);
  }

  setNew(record: InodeRecord): void {
    this.#open().setInode(record);
  }

  forget(ino: Ino): void {
    this.#open().clearInode(ino);
  }

  setName(dir: Ino, name: Name, ino: Ino | 0, type: number): void {
    this.#open().setName(dir, name, ino, type);
  }

  clearName(dir: Ino, name: Name): void {
    this.#open().clearName(dir, name);
  }

  /** 0, or -errno with nothing changed. */
  commit(): number {
    const error = this.#delta.commit();
    this.#change = null;
    if (error !== 0) return error;
    for (let i = 0; i < this.#inodes.length; i++) {
      const inode = this.#inodes[i] as Inode;
      const record = this.#records[i] as InodeRecord;
      inode.copied = null;
      if (this.#durable[i] !== true) inode.record = record;
      else {
        inode.record = withColdXattrs(record, this.#delta);
        inode.inDelta = true;
        inode.accessed = false;
      }
    }
    return 0;
  }

  #open(): Change {
    if (this.#change === null) throw new Error('no transaction is open');
    return this.#change;
  }

  #remember(inode: Inode, record: InodeRecord, durable: boolean): void {
    this.#inodes.push(inode);
    this.#records.push(record);
    this.#durable.push(durable);
  }
}
