/**
 * Reads an LMDB file without LMDB, all of it at once and as of one moment. For a small file that is read once, this
 * is a fraction of what it costs to open LMDB; and a page that is damaged is an error here, never the end of the process.
 *
 * LMDB writes to no page that its last three transactions lead to (mdb_find_oldest), and then one of the two meta
 * pages. So if the newest meta page is the same after the file was read, that transaction was read whole.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { Damaged } from './damaged.ts';
import { HEADER, META_PAGES, type Meta, metaOf, readPageNumber } from './lmdb-format.ts';
import { LmdbTree, type Pages } from './lmdb-tree.ts';

const ATTEMPTS = 10;

/** The memory of the snapshot that was let go last: fresh memory costs as much as the reading. */
let spare: Buffer | null = null;

/** All pages of a file, as its newest transaction left them. */
export class LmdbSnapshot implements Pages {
  readonly pageSize: number;
  readonly #meta: Meta;
  #memory: Buffer;

  private constructor(memory: Buffer, meta: Meta) {
    this.#memory = memory;
    this.#meta = meta;
    this.pageSize = meta.pageSize;
  }

  /**
   * Reads a file; null if it has more than `most` bytes, or was written to at each attempt.
   * @throws Damaged if it has no meta page; what reading it throws
   */
  static take(file: string, most: number): LmdbSnapshot | null {
    const fd = openSync(file, 'r');
    try {
      for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
        const meta = metaOf(fd);
        const { size } = fstatSync(fd);
        if (size > most) return null;
        const bytes = readAll(fd, size);
        if (isSame(meta, metaOf(fd))) return new LmdbSnapshot(bytes, meta);
        spare = bytes;
      }
      return null;
    } finally {
      closeSync(fd);
    }
  }

  get memory(): Buffer {
    return this.#memory;
  }

  /** Returns one of its databases, by name; an empty one if there is none. */
  database(name: string): LmdbTree {
    return LmdbTree.named(this, this.#meta, name);
  }

  at(page: number): number {
    const at = page * this.pageSize;
    const isIn = page >= META_PAGES && at + this.pageSize <= this.#memory.length;
    if (!isIn || readPageNumber(this.#memory, at) !== page)
      throw new Damaged(`its page ${page} is another one`);
    return at;
  }

  data(page: number, bytes: number): Buffer {
    const from = page * this.pageSize + HEADER;
    if (from + bytes > this.#memory.length) throw new Damaged('it has data beyond its end');
    return this.#memory.subarray(from, from + bytes);
  }

  /** Gives its memory to the next one. */
  close(): void {
    const { length, buffer } = this.#memory;
    if (length > 0 && (spare === null || spare.buffer.byteLength < buffer.byteLength))
      spare = this.#memory;
    this.#memory = NONE;
  }
}

const NONE = Buffer.alloc(0);

const isSame = (a: Meta, b: Meta): boolean =>
  a.transaction === b.transaction &&
  a.pageSize === b.pageSize &&
  a.trees.every(({ root, depth }, n) => root === b.trees[n]!.root && depth === b.trees[n]!.depth);

function readAll(fd: number, size: number): Buffer {
  const memory =
    spare !== null && spare.buffer.byteLength >= size
      ? Buffer.from(spare.buffer)
      : Buffer.allocUnsafeSlow(size);
  spare = null;
  let at = 0;
  for (let got = 1; at < size && got > 0; at += got) got = readSync(fd, memory, at, size - at, at);
  return memory.subarray(0, at);
}
