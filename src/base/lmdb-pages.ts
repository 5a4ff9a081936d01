/**
 * Checks an LMDB file page by page, without LMDB: LMDB maps the file into memory, trusts every page,
 * and crashes the process at a damaged one. So only files that pass this check are opened with it.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import {
  BIG_DATA,
  BIG_NODE,
  BRANCH,
  childOf,
  DATABASE,
  FLAGS_AT,
  HEADER,
  KINDS,
  LEAF,
  LOWER_AT,
  META_PAGES,
  type Meta,
  NODE,
  newestMeta,
  OVERFLOW,
  PAGES_AT,
  readPageNumber,
  SUB_DATABASE,
  type Tree,
  treeAt,
  UPPER_AT,
  WRITTEN_AT,
} from './lmdb-format.ts';

const NODE_FLAGS = BIG_DATA | SUB_DATABASE;
/** So many pages more can be missing at the end of a file: a hole of them would do no harm. */
const HOLE_MAX = 1024;
/** A file of at most this many bytes is read at once; of a larger one each page by itself. */
const WHOLE_BYTES = 2 ** 26;

/** Returns why the file must not be opened with LMDB, or null; nobody must write to it meanwhile. */
export function pageDamage(file: string): string | null {
  const fd = openSync(file, 'r');
  try {
    const meta = newestMeta(fd);
    return typeof meta === 'string' ? meta : new PageWalk(fd, meta).damage();
  } finally {
    closeSync(fd);
  }
}

/** Walks all pages that the two trees of a meta page lead to. */
class PageWalk {
  private readonly fd: number;
  private readonly meta: Meta;
  private readonly pages: number;
  /** One byte for each page: 1 if something leads to it. */
  private readonly seen: Uint8Array;
  private readonly free: number[] = [];
  /** How many pages are free in runs, of which only the first one is in `free`. */
  private inRuns = 0;
  private readonly whole: Buffer | null;

  constructor(fd: number, meta: Meta) {
    this.fd = fd;
    this.meta = meta;
    const { size } = fstatSync(fd);
    this.pages = Math.floor(size / meta.pageSize);
    this.whole = size > WHOLE_BYTES ? null : readWhole(fd, size);
    this.seen = new Uint8Array(this.pages);
  }

  damage(): string | null {
    try {
      for (const tree of this.meta.trees) this.walkTree(tree);
      for (const page of this.free) {
        if (this.seen[page] === 1) throw new RangeError(`its page ${page} is in use, and free`);
      }
      this.checkEnd();
      return null;
    } catch (error) {
      if (error instanceof RangeError) return error.message;
      throw error;
    }
  }

  /** LMDB writes new pages after the last one: those beyond the end of the file can only be free ones that it never wrote. */
  private checkEnd(): void {
    const { lastPage } = this.meta;
    const beyond = lastPage + 1 - this.pages;
    if (beyond > this.free.length + this.inRuns + HOLE_MAX)
      throw new RangeError(`its last page is ${lastPage}, and the file has ${this.pages}`);
  }

  private walkTree(tree: Tree): void {
    if (tree.depth > 0) this.walk(tree.root, 1, tree, null, null);
  }

  /** @param low, high what the page above says: no key is less than the one, and each is less than the other */
  private walk(page: number, level: number, tree: Tree, low: Key | null, high: Key | null): void {
    const bytes = this.claim(page);
    const kind = bytes.readUInt16LE(FLAGS_AT) & KINDS;
    if (kind !== BRANCH && kind !== LEAF) throw new RangeError(`its page ${page} is of no kind`);
    if ((kind === LEAF) !== (level === tree.depth)) {
      throw new RangeError(`its page ${page} is ${level} levels deep`);
    }
    const lower = bytes.readUInt16LE(LOWER_AT);
    const upper = bytes.readUInt16LE(UPPER_AT);
    const nodes = lower >> 1;
    if (HEADER + lower > bytes.length || (lower & 1) !== 0 || lower > upper) {
      throw new RangeError(`its page ${page} is too full`);
    }
    if (nodes === 0 || (kind === BRANCH && nodes < 2 && !tree.isFree)) {
      throw new RangeError(`its page ${page} is too empty`);
    }
    checkNodes(bytes, page, nodes, upper);
    checkOrder(bytes, page, tree, { first: kind === BRANCH ? 1 : 0, nodes, low, high });
    let left = bytes.length - HEADER - upper;
    for (let i = 0; i < nodes; i++) {
      const at = nodeAt(bytes, i);
      const data = at + NODE + bytes.readUInt16LE(at + 6);
      let end = data;
      if (kind === LEAF) end += this.leafNode(bytes, at, data, page, tree);
      if (end > bytes.length) throw new RangeError(`its page ${page} has data beyond its end`);
      left -= (end - at + 1) & ~1;
      if (kind === BRANCH) {
        const from = i === 0 ? low : keyAt(bytes, at);
        const to = i + 1 === nodes ? high : keyAt(bytes, nodeAt(bytes, i + 1));
        this.walk(childOf(bytes, at), level + 1, tree, from, to);
      }
    }
    // LMDB moves what is on a page by what its nodes say of their length.
    if (left < 0) throw new RangeError(`its page ${page} has nodes that overlap`);
  }

  /** Checks a node of a leaf, and what it leads to. Returns how many bytes of the page its data takes. */
  private leafNode(bytes: Buffer, at: number, data: number, page: number, tree: Tree): number {
    const flags = bytes.readUInt16LE(at + 4);
    const size = bytes.readUInt32LE(at);
    if ((flags & ~NODE_FLAGS) !== 0) throw new RangeError(`its page ${page} has a node of no kind`);
    const isBig = (flags & BIG_DATA) !== 0;
    const length = isBig ? BIG_NODE : size;
    if (data + length > bytes.length) {
      throw new RangeError(`its page ${page} has data beyond its end`);
    }
    const whole = isBig ? this.bigData(bytes, data, size, page) : null;
    if (tree.isFree) this.freePages(whole ?? bytes.subarray(data, data + size), page);
    if ((flags & SUB_DATABASE) === 0) return length;
    if (size !== DATABASE || isBig) throw new RangeError(`its page ${page} describes no database`);
    this.walkTree(treeAt(bytes, data, false, `its page ${page}`));
    return length;
  }

  /** Claims the pages of data that is too big for one. Returns it, if it is a list of free pages. */
  private bigData(bytes: Buffer, at: number, size: number, page: number): Buffer {
    const { pageSize } = this.meta;
    const first = readPageNumber(bytes, at);
    const count = readPageNumber(bytes, at + 16);
    if (count === 0 || first + count > this.pages) {
      throw new RangeError(`its page ${page} has data beyond the end of the file`);
    }
    const head = this.claim(first);
    const isBig = (head.readUInt16LE(FLAGS_AT) & KINDS) === OVERFLOW;
    if (!isBig || head.readUInt32LE(PAGES_AT) !== count || HEADER + size > count * pageSize) {
      throw new RangeError(`its page ${first} is not the data of page ${page}`);
    }
    for (let i = 1; i < count; i++) this.mark(first + i);
    return this.longData(first, size);
  }

  private longData(first: number, size: number): Buffer {
    const out = Buffer.alloc(size);
    readSync(this.fd, out, 0, size, first * this.meta.pageSize + HEADER);
    return out;
  }

  /** Notes the pages that LMDB would write to next. A number below zero says how many are in the run that follows. */
  private freePages(list: Buffer, page: number): void {
    const count = list.length < 8 ? Infinity : readPageNumber(list, 0);
    if ((count + 1) * 8 > list.length) {
      throw new RangeError(`its page ${page} has a list of free pages that is cut short`);
    }
    for (let i = 1; i <= count; i++) {
      const entry = Number(list.readBigInt64LE(i * 8));
      const isIn = Math.abs(entry) <= this.meta.lastPage;
      if (!isIn || (entry > 0 && entry < META_PAGES)) {
        throw new RangeError(`its page ${page} calls page ${entry} free`);
      }
      if (entry > 0) this.free.push(entry);
      else this.inRuns -= entry;
    }
  }

  private claim(page: number): Buffer {
    if (page >= this.pages) throw new RangeError(`its page ${page} is beyond the end of the file`);
    if (page > this.meta.lastPage) throw new RangeError(`its page ${page} is beyond the last one`);
    this.mark(page);
    const bytes = this.read(page);
    if (page < META_PAGES || readPageNumber(bytes, 0) !== page) {
      throw new RangeError(`its page ${page} is another one`);
    }
    // LMDB would take it for a page of the transaction that it makes, and write to it where it stands.
    if (bytes.readBigUInt64LE(WRITTEN_AT) > this.meta.transaction)
      throw new RangeError(`its page ${page} is of a transaction that was not made`);
    return bytes;
  }

  private mark(page: number): void {
    if (this.seen[page] === 1) throw new RangeError(`its page ${page} is used twice`);
    this.seen[page] = 1;
  }

  private read(page: number): Buffer {
    const { pageSize } = this.meta;
    const at = page * pageSize;
    if (this.whole !== null) return this.whole.subarray(at, at + pageSize);
    const bytes = Buffer.allocUnsafe(pageSize);
    bytes.fill(0, readSync(this.fd, bytes, 0, pageSize, at));
    return bytes;
  }
}

function readWhole(fd: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (let got = 1; at < size && got > 0; at += got) got = readSync(fd, bytes, at, size - at, at);
  return bytes.fill(0, at);
}

/** A key, and where it is. */
interface Key {
  readonly bytes: Buffer;
  readonly at: number;
  readonly size: number;
}

/** What is said of the keys of a page, or to be found there. */
interface KeyRange {
  /** The first node that has a key: that of a branch's first one is that of the page above. */
  readonly first: number;
  readonly nodes: number;
  readonly low: Key | null;
  readonly high: Key | null;
}

/** Returns where a page's node is. */
const nodeAt = (bytes: Buffer, index: number): number =>
  bytes.readUInt16LE(HEADER + 2 * index) + HEADER;

/** Returns the key of a node. */
const keyAt = (bytes: Buffer, node: number): Key => ({
  bytes,
  at: node + NODE,
  size: bytes.readUInt16LE(node + 6),
});

/** Checks that nodes, and their keys, are on their page. @throws RangeError */
function checkNodes(bytes: Buffer, page: number, nodes: number, upper: number): void {
  for (let i = 0; i < nodes; i++) {
    const at = nodeAt(bytes, i);
    if (at < HEADER + upper || at + NODE > bytes.length || (at & 1) !== 0)
      throw new RangeError(`its page ${page} has nodes beyond its end`);
    if (at + NODE + bytes.readUInt16LE(at + 6) > bytes.length)
      throw new RangeError(`its page ${page} has data beyond its end`);
  }
}

/** Checks that lookups find what is on a page: they take its keys, and those above it, to be in order. @throws RangeError */
function checkOrder(
  bytes: Buffer,
  page: number,
  tree: Tree,
  { first, nodes, low, high }: KeyRange,
): void {
  if (first >= nodes) return;
  const compare = tree.isFree ? compareNumbers : compareBytes;
  let isOrdered = low === null || compare(low, bytes, nodeAt(bytes, first)) <= 0;
  for (let i = first + 1; i < nodes && isOrdered; i++)
    isOrdered = compareNodes(bytes, nodeAt(bytes, i - 1), nodeAt(bytes, i), tree) < 0;
  if (high !== null && isOrdered) isOrdered = compare(high, bytes, nodeAt(bytes, nodes - 1)) > 0;
  if (!isOrdered) throw new RangeError(`its page ${page} has keys out of order`);
}

/** Compares the keys of two nodes of a page. */
function compareNodes(bytes: Buffer, before: number, node: number, { isFree }: Tree): number {
  if (isFree) return compareNumbers(keyAt(bytes, before), bytes, node);
  return compareAt(bytes, before + NODE, bytes.readUInt16LE(before + 6), bytes, node);
}

/** Compares a key with that of a node: below zero if it comes first. */
const compareBytes = (key: Key, bytes: Buffer, node: number): number =>
  compareAt(key.bytes, key.at, key.size, bytes, node);

function compareAt(a: Buffer, from: number, size: number, bytes: Buffer, node: number): number {
  const other = bytes.readUInt16LE(node + 6);
  const common = Math.min(size, other);
  for (let i = 0; i < common; i++) {
    const difference = a[from + i]! - bytes[node + NODE + i]!;
    if (difference !== 0) return difference;
  }
  return size - other;
}

const NUMBER_SIZE = 8;

/** Compares keys of the list of free pages: numbers of transactions. */
function compareNumbers(key: Key, bytes: Buffer, node: number): number {
  if (key.size !== NUMBER_SIZE || bytes.readUInt16LE(node + 6) !== NUMBER_SIZE)
    throw new RangeError('its list of free pages has keys that are no numbers');
  const difference = key.bytes.readBigUInt64LE(key.at) - bytes.readBigUInt64LE(node + NODE);
  return difference < 0n ? -1 : Number(difference > 0n);
}
