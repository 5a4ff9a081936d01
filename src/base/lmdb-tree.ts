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
  type Meta,
  NODE,
  readPageNumber,
  SUB_DATABASE,
  type Tree,
  treeAt,
} from './lmdb-format.ts';

/** The pages of an LMDB file, as one transaction left them. */
export interface Pages {
  readonly pageSize: number;
  /** The memory that pages are in. */
  readonly memory: Buffer;
  /** Returns where in the memory a page begins: it may be elsewhere after the next call. @throws Damaged if there is no such page */
  at(page: number): number;
  /** Returns data that begins after the header of this page and goes on over those that follow. @throws Damaged */
  data(page: number, bytes: number): Buffer;
}

/** A row. Both buffers are in the memory of the pages: they are of no use after the next call. */
export interface TreeRow {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** A node of a leaf. */
interface Found {
  readonly flags: number;
  readonly value: Buffer;
}

/** A page on the way to a row, and which of its nodes the way goes on from. */
interface Step {
  readonly page: number;
  readonly count: number;
  index: number;
}

const NONE = Buffer.alloc(0);
const EMPTY: Tree = { root: 0, depth: 0, isFree: false };

/** One database of an LMDB file: rows in the order of their keys' bytes. */
export class LmdbTree {
  readonly #pages: Pages;
  readonly #tree: Tree;

  constructor(pages: Pages, tree: Tree) {
    this.#pages = pages;
    this.#tree = tree;
  }

  /** Returns one of a file's databases, by name; an empty one if there is none. */
  static named(pages: Pages, meta: Meta, name: string): LmdbTree {
    // The lmdb package writes names of databases with a zero at the end.
    const found = new LmdbTree(pages, meta.trees[1]!).find(Buffer.from(`${name}\0`, 'latin1'));
    const isDatabase = found !== null && (found.flags & SUB_DATABASE) !== 0;
    if (!isDatabase || found.value.length !== DATABASE) return new LmdbTree(pages, EMPTY);
    return new LmdbTree(pages, treeAt(found.value, 0, false, name));
  }

  get(key: Buffer): Buffer | undefined {
    return this.find(key)?.value;
  }

  find(key: Buffer): Found | null {
    const { depth } = this.#tree;
    let page = this.#tree.root;
    for (let level = 1; level <= depth; level++) {
      const isLeaf = level === depth;
      const start = this.#pageAt(page, isLeaf);
      const index = this.#indexOf(start, key, isLeaf);
      if (!isLeaf) page = childOf(this.#pages.memory, this.#nodeAt(start, index));
      else if (index < this.#countAt(start)) {
        const node = this.#nodeAt(start, index);
        return this.#compare(node, key) === 0 ? this.#valueAt(node) : null;
      }
    }
    return null;
  }

  /** Yields at most `limit` rows with keys from `start` to before `end`. */
  *range(start: Buffer = NONE, end?: Buffer, limit = Infinity): Generator<TreeRow> {
    const way = this.#wayTo(start);
    let left = limit;
    for (let leaf = this.#settle(way); leaf !== null && left > 0; leaf = this.#settle(way)) {
      const node = this.#nodeAt(this.#pageAt(leaf.page, true), leaf.index);
      if (end !== undefined && this.#compare(node, end) >= 0) return;
      const key = this.#pages.memory.subarray(node + NODE, node + NODE + this.#keySize(node));
      yield { key, value: this.#valueAt(node).value };
      leaf.index++;
      left--;
    }
  }

  /** Returns the number of rows with keys from `start` on. */
  countFrom(start: Buffer): number {
    const way = this.#wayTo(start);
    let count = 0;
    for (let leaf = this.#settle(way); leaf !== null; leaf = this.#settle(way)) {
      count += leaf.count - leaf.index;
      leaf.index = leaf.count;
    }
    return count;
  }

  /** Finds the way down to the first key that is not less than this one; the last index may be beyond its page's end. */
  #wayTo(key: Buffer): Step[] {
    const { depth } = this.#tree;
    const way: Step[] = [];
    let page = this.#tree.root;
    for (let level = 1; level <= depth; level++) {
      const isLeaf = level === depth;
      const start = this.#pageAt(page, isLeaf);
      const index = this.#indexOf(start, key, isLeaf);
      way.push({ page, index, count: this.#countAt(start) });
      if (!isLeaf) page = childOf(this.#pages.memory, this.#nodeAt(start, index));
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
        const start = this.#pageAt(last.page, false);
        const page = childOf(this.#pages.memory, this.#nodeAt(start, last.index));
        const count = this.#countAt(this.#pageAt(page, way.length + 1 === depth));
        way.push({ page, index: 0, count });
      }
    }
    return null;
  }

  /** Returns where a page begins. @throws Damaged if it is of another kind */
  #pageAt(page: number, isLeaf: boolean): number {
    const start = this.#pages.at(page);
    const kind = this.#pages.memory.readUInt16LE(start + FLAGS_AT);
    if ((kind & (isLeaf ? LEAF : BRANCH)) === 0)
      throw new Damaged(`its page ${page} is of no kind`);
    return start;
  }

  #countAt(start: number): number {
    return this.#pages.memory.readUInt16LE(start + LOWER_AT) >> 1;
  }

  /** Returns the index of a leaf's first node whose key is not less; of a branch, that of the node that leads to it. */
  #indexOf(start: number, key: Buffer, isLeaf: boolean): number {
    // The first key of a branch stands for all that are less than the second one.
    let low = isLeaf ? 0 : 1;
    let high = this.#countAt(start);
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.#compare(this.#nodeAt(start, middle), key);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return isLeaf ? low : low - 1;
  }

  #nodeAt(start: number, index: number): number {
    const at = this.#pages.memory.readUInt16LE(start + HEADER + 2 * index) + HEADER;
    if (at + NODE > this.#pages.pageSize) throw new Damaged('a page has nodes beyond its end');
    return start + at;
  }

  #keySize(node: number): number {
    return this.#pages.memory.readUInt16LE(node + 6);
  }

  /** Compares byte by byte: keys are short, and Buffer.compare() costs more than that to begin. */
  #compare(node: number, key: Buffer): number {
    const { memory } = this.#pages;
    const size = this.#keySize(node);
    const from = node + NODE;
    const common = Math.min(size, key.length);
    for (let i = 0; i < common; i++) {
      const difference = memory[from + i]! - key[i]!;
      if (difference !== 0) return difference;
    }
    return size - key.length;
  }

  #valueAt(node: number): Found {
    const { memory, pageSize } = this.#pages;
    const flags = memory.readUInt16LE(node + 4);
    const size = memory.readUInt32LE(node);
    const data = node + NODE + this.#keySize(node);
    if ((flags & BIG_DATA) !== 0)
      return { flags, value: this.#pages.data(readPageNumber(memory, data), size) };
    if ((node % pageSize) + (data - node) + size > pageSize)
      throw new Damaged('a page has data beyond its end');
    return { flags, value: memory.subarray(data, data + size) };
  }
}
