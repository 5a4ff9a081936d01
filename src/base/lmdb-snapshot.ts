/**
 * Reads an LMDB file without LMDB, all of it at once and as of one moment. For a small file that is read once, this
 * is a fraction of what it costs to open LMDB; and a page that is damaged is an error here, never the end of the process.
 *
 * LMDB writes to no page that its last three transactions lead to (mdb_find_oldest), and then one of the two meta
 * pages. So if the newest meta page is the same after the file was read, that transaction was read whole.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { Damaged } from './damaged.ts';
import {
  BIG_DATA,
  BRANCH,
  childOf,
  DATABASE,
  FLAGS_AT,
  HEADER,
  LEAF,
  LOWER_AT,
  META_PAGES,
  type Meta,
  NODE,
  newestMeta,
  readPageNumber,
  SUB_DATABASE,
  type Tree,
  treeAt,
} from './lmdb-format.ts';

const ATTEMPTS = 10;

/** A row. Both buffers are the snapshot's: they are of no use once it is let go. */
export interface SnapshotRow {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** The memory of the snapshot that was let go last: fresh memory costs as much as the reading. */
let spare: Buffer | null = null;

/** All databases of a file, as its newest transaction left them. */
export class LmdbSnapshot {
  #bytes: Buffer;
  readonly #pageSize: number;
  readonly #databases: SnapshotTree;

  private constructor(bytes: Buffer, { pageSize, trees }: Meta) {
    this.#bytes = bytes;
    this.#pageSize = pageSize;
    this.#databases = new SnapshotTree(bytes, pageSize, trees[1]!);
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

  /** Returns one of its databases, by name; an empty one if there is none. */
  database(name: string): SnapshotTree {
    // The lmdb package writes names of databases with a zero at the end.
    const found = this.#databases.find(Buffer.from(`${name}\0`, 'latin1'));
    const isDatabase = found !== null && (found.flags & SUB_DATABASE) !== 0;
    if (!isDatabase || found.value.length !== DATABASE) return new SnapshotTree(NONE, 0, EMPTY);
    return new SnapshotTree(this.#bytes, this.#pageSize, treeAt(found.value, 0, false, name));
  }

  /** Gives its memory to the next one. */
  letGo(): void {
    if (
      this.#bytes.length > 0 &&
      (spare === null || spare.buffer.byteLength < this.#bytes.buffer.byteLength)
    )
      spare = this.#bytes;
    this.#bytes = NONE;
  }
}

const NONE = Buffer.alloc(0);
const EMPTY: Tree = { root: 0, depth: 0, isFree: false };

function metaOf(fd: number): Meta {
  const meta = newestMeta(fd);
  if (typeof meta === 'string') throw new Damaged(meta);
  return meta;
}

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

/** A node of a leaf. */
interface Found {
  readonly flags: number;
  readonly value: Buffer;
}

/** One database of a snapshot: rows in the order of their keys' bytes. */
export class SnapshotTree {
  readonly #bytes: Buffer;
  readonly #pageSize: number;
  readonly #tree: Tree;

  constructor(bytes: Buffer, pageSize: number, tree: Tree) {
    this.#bytes = bytes;
    this.#pageSize = pageSize;
    this.#tree = tree;
  }

  get(key: Buffer): Buffer | undefined {
    return this.find(key)?.value;
  }

  find(key: Buffer): Found | null {
    const way = this.#wayTo(key);
    const leaf = way.at(-1);
    if (leaf === undefined || leaf.index >= leaf.count) return null;
    const at = this.#nodeAt(leaf.page, leaf.index);
    return this.#compare(at, key) === 0 ? this.#valueAt(at) : null;
  }

  /** Yields at most `limit` rows with keys from `start` to before `end`. */
  *range(
    start: Buffer = NONE,
    end: Buffer | null = null,
    limit = Infinity,
  ): Generator<SnapshotRow> {
    const way = this.#wayTo(start);
    let left = limit;
    for (let leaf = this.#settle(way); leaf !== null && left > 0; leaf = this.#settle(way)) {
      const at = this.#nodeAt(leaf.page, leaf.index);
      if (end !== null && this.#compare(at, end) >= 0) return;
      const key = this.#bytes.subarray(at + NODE, at + NODE + this.#keySize(at));
      yield { key, value: this.#valueAt(at).value };
      leaf.index++;
      left--;
    }
  }

  /** Finds the way down to the first key that is not less than this one; the last index may be beyond its page's end. */
  #wayTo(key: Buffer): Step[] {
    const way: Step[] = [];
    let page = this.#tree.root;
    for (let level = 1; level <= this.#tree.depth; level++) {
      const isLeaf = level === this.#tree.depth;
      const step = this.#step(page, isLeaf);
      // The first key of a branch stands for all that are less than the second one.
      const first = this.#firstNotLess(step, key, isLeaf ? 0 : 1);
      if (isLeaf) step.index = first;
      else {
        const isThere = first < step.count && this.#compare(this.#nodeAt(page, first), key) === 0;
        step.index = isThere ? first : first - 1;
        page = childOf(this.#bytes, this.#nodeAt(page, step.index));
      }
      way.push(step);
    }
    return way;
  }

  /** Goes on to the next page if the way is at the end of one. Returns the leaf, null at the end of all. */
  #settle(way: Step[]): Step | null {
    const { depth } = this.#tree;
    while (way.length > 0) {
      const last = way.at(-1)!;
      if (last.index >= last.count) {
        way.pop();
        if (way.length > 0) way.at(-1)!.index++;
      } else if (way.length === depth) return last;
      else {
        const page = childOf(this.#bytes, this.#nodeAt(last.page, last.index));
        way.push(this.#step(page, way.length + 1 === depth));
      }
    }
    return null;
  }

  #step(page: number, isLeaf: boolean): Step {
    const at = page * this.#pageSize;
    const isIn = page >= META_PAGES && at + this.#pageSize <= this.#bytes.length;
    if (!isIn || readPageNumber(this.#bytes, at) !== page)
      throw new Damaged(`its page ${page} is another one`);
    const kind = this.#bytes.readUInt16LE(at + FLAGS_AT);
    if ((kind & (isLeaf ? LEAF : BRANCH)) === 0)
      throw new Damaged(`its page ${page} is of no kind`);
    return { page, index: 0, count: this.#bytes.readUInt16LE(at + LOWER_AT) >> 1 };
  }

  /** Returns the index of the first node, from `low` on, whose key is not less than this one. */
  #firstNotLess({ page, count }: Step, key: Buffer, from: number): number {
    let low = from;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.#nodeAt(page, middle), key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #nodeAt(page: number, index: number): number {
    const start = page * this.#pageSize;
    const at = this.#bytes.readUInt16LE(start + HEADER + 2 * index) + HEADER;
    if (at + NODE > this.#pageSize) throw new Damaged(`its page ${page} has nodes beyond its end`);
    return start + at;
  }

  #keySize(at: number): number {
    return this.#bytes.readUInt16LE(at + 6);
  }

  /** Compares byte by byte: keys are short, and Buffer.compare() costs more than that to begin. */
  #compare(at: number, key: Buffer): number {
    const bytes = this.#bytes;
    const size = this.#keySize(at);
    const from = at + NODE;
    const common = Math.min(size, key.length);
    for (let i = 0; i < common; i++) {
      const difference = bytes[from + i]! - key[i]!;
      if (difference !== 0) return difference;
    }
    return size - key.length;
  }

  #valueAt(at: number): Found {
    const flags = this.#bytes.readUInt16LE(at + 4);
    const size = this.#bytes.readUInt32LE(at);
    const data = at + NODE + this.#keySize(at);
    const isBig = (flags & BIG_DATA) !== 0;
    const from = isBig ? readPageNumber(this.#bytes, data) * this.#pageSize + HEADER : data;
    if (from + size > this.#bytes.length) throw new Damaged('it has data beyond its end');
    return { flags, value: this.#bytes.subarray(from, from + size) };
  }
}

/** A page on the way to a row, and which of its nodes the way goes on from. */
interface Step {
  readonly page: number;
  readonly count: number;
  index: number;
}
