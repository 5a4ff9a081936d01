import { invariant } from '../../base/assert.ts';
import { O_ACCMODE, O_RDONLY } from '../../base/mode.ts';
import type { Opened } from './api.ts';
import type { Entries } from './entries.ts';
import type { Backing, Inode } from './inode.ts';
import type { ResumeRecords } from './resume/records.ts';

/** An open file; the kernel calls its number fh. */
export interface Handle extends Opened {
  readonly inode: Inode;
  /** Flags of open(2). */
  readonly flags: number;
  /** The process that opened it. */
  readonly pid: number;
  /** The request that opened it. */
  readonly request: number;
  /** The backing id and its count of opens, if the file was opened with one. */
  readonly backing: Backing | null;
}

/** Who opens a file. */
export interface Opener {
  readonly pid: number;
  readonly request: number;
}

const mayWrite = (flags: number): boolean => (flags & O_ACCMODE) !== O_RDONLY;

/** The open files of one mount, by number; numbers are reused. */
export class HandleTable {
  readonly #slots: (Handle | null)[] = [null];
  readonly #free: number[] = [];
  readonly #entries: Entries;
  readonly #records: ResumeRecords | null;
  #count = 0;

  constructor(entries: Entries, records: ResumeRecords | null) {
    this.#entries = entries;
    this.#records = records;
  }

  get count(): number {
    return this.#count;
  }

  open(inode: Inode, flags: number, by: Opener, io: number, backing: Backing | null): Handle {
    const fh = this.#free.pop() ?? this.#slots.length;
    const { pid, request } = by;
    const handle = { fh, io, backingId: backing?.id ?? 0, inode, flags, pid, request, backing };
    this.#put(handle);
    // Before the kernel hears of it.
    this.#records?.opened(handle);
    return handle;
  }

  /** Takes over files that an earlier driver had opened. To be called once, before any other is opened. */
  restore(handles: readonly Handle[]): void {
    for (const handle of handles) this.#put(handle);
    for (let fh = 1; fh < this.#slots.length; fh++) {
      if (this.#slots[fh] !== undefined) continue;
      this.#slots[fh] = null;
      this.#free.push(fh);
    }
  }

  #put(handle: Handle): void {
    this.#slots[handle.fh] = handle;
    if (mayWrite(handle.flags)) handle.inode.writers++;
    this.#count++;
    this.#entries.take();
  }

  get(fh: number): Handle {
    const handle = this.#slots[fh];
    invariant(handle !== null && handle !== undefined, `file handle ${fh} is not open`);
    return handle;
  }

  /** Returns the handle or null, for requests in which the kernel may send none. */
  find(fh: number): Handle | null {
    return fh > 0 ? (this.#slots[fh] ?? null) : null;
  }

  close(handle: Handle): void {
    this.#slots[handle.fh] = null;
    this.#records?.closed(handle.fh);
    if (mayWrite(handle.flags)) handle.inode.writers--;
    this.#free.push(handle.fh);
    this.#count--;
    this.#entries.give();
  }

  *values(): IterableIterator<Handle> {
    for (const handle of this.#slots) if (handle !== null) yield handle;
  }
}
