import { invariant } from '../../base/assert.ts';
import { O_ACCMODE, O_RDONLY } from '../../base/mode.ts';
import type { Opened } from './api.ts';
import type { Entries } from './entries.ts';
import type { Backing, Inode } from './inode.ts';

/** An open file; the kernel calls its number fh. */
export interface Handle extends Opened {
  readonly inode: Inode;
  /** Flags of open(2). */
  readonly flags: number;
  /** The process that opened it. */
  readonly pid: number;
  /** The backing id and its count of opens, if the file was opened with one. */
  readonly backing: Backing | null;
}

const mayWrite = (flags: number): boolean => (flags & O_ACCMODE) !== O_RDONLY;

/** The open files of one mount, by number; numbers are reused. */
export class HandleTable {
  readonly #slots: (Handle | null)[] = [null];
  readonly #free: number[] = [];
  readonly #entries: Entries;
  #count = 0;

  constructor(entries: Entries) {
    this.#entries = entries;
  }

  get count(): number {
    return this.#count;
  }

  open(inode: Inode, flags: number, pid: number, io: number, backing: Backing | null): Handle {
    const fh = this.#free.pop() ?? this.#slots.length;
    const handle = { fh, io, backingId: backing?.id ?? 0, inode, flags, pid, backing };
    this.#slots[fh] = handle;
    if (mayWrite(flags)) inode.writers++;
    this.#count++;
    this.#entries.take();
    return handle;
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
    if (mayWrite(handle.flags)) handle.inode.writers--;
    this.#free.push(handle.fh);
    this.#count--;
    this.#entries.give();
  }

  *values(): IterableIterator<Handle> {
    for (const handle of this.#slots) if (handle !== null) yield handle;
  }
}
