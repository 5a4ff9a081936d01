import type { Ino, Name } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { Caller } from './api.ts';
import { withColdParts, withWarmParts } from './cold-parts.ts';
import type { Inode } from './inode.ts';
import type { Change, Delta } from './ports.ts';
import type { ResumeRecords } from './resume/records.ts';

/**
 * Collects one operation's changes, commits them to the journal as one record, and only then shows them in the
 * inodes. If the commit fails (disk full), nothing has changed.
 */
export class Transaction {
  readonly #delta: Delta;
  readonly #caller: Caller;
  readonly #resume: ResumeRecords | null;
  #change: Change | null = null;
  readonly #inodes: Inode[] = [];
  readonly #records: InodeRecord[] = [];
  readonly #durable: boolean[] = [];

  /** @param caller the process whose request is served */
  constructor(delta: Delta, caller: Caller, records: ResumeRecords | null) {
    this.#delta = delta;
    this.#caller = caller;
    this.#resume = records;
  }

  begin(): this {
    this.#change = this.#delta.begin();
    this.#inodes.length = 0;
    this.#records.length = 0;
    this.#durable.length = 0;
    return this;
  }

  /** Returns the inode's record as this transaction has it so far. */
  record(inode: Inode): InodeRecord {
    const at = this.#inodes.lastIndexOf(inode);
    return at < 0 ? inode.record : (this.#records[at] as InodeRecord);
  }

  /** Sets the inode's record, in the delta and in memory. */
  set(inode: Inode, record: InodeRecord): void {
    const whole = withWarmParts(record);
    this.#open().setInode(whole);
    this.#remember(inode, whole, true);
  }

  /**
   * Sets the inode's record in memory only: the delta need not know, because the inode's last template name is
   * gone.
   */
  setInMemory(inode: Inode, record: InodeRecord): void {
    this.#remember(inode, record, false);
  }

  setNew(record: InodeRecord): void {
    this.#open().setInode(withWarmParts(record));
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

  /** Commits. Returns 0, or -errno with nothing changed. */
  commit(): number {
    this.#resume?.begins(this.#caller.request, this.#delta.sequence + 1);
    const error = this.#delta.commit();
    this.#change = null;
    if (error !== 0) {
      this.#resume?.failed();
      return error;
    }
    for (let i = 0; i < this.#inodes.length; i++) {
      const inode = this.#inodes[i] as Inode;
      const record = this.#records[i] as InodeRecord;
      inode.copied = null;
      if (this.#durable[i] !== true) inode.record = record;
      else {
        inode.record = withColdParts(record, this.#delta);
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
