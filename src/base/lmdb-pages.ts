/**
 * Checks an LMDB file page by page, without LMDB: LMDB maps the file into memory, trusts every page,
 * and crashes the process at a damaged one. So only files that pass this check are opened with it.
 *
 * The format is that of the lmdb package (dependencies/lmdb/libraries/liblmdb/mdb.c): a page begins with its own number.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const MAGIC = 0xbeefc0de;
const VERSION = 2;
const HEADER = 24;
/** Within a page header: u16 flags, u16 end of the list of nodes, u16 begin of the nodes; both counted from the end of the header. */
const FLAGS_AT = 18;
const LOWER_AT = 20;
const UPPER_AT = 22;
/** In place of the latter two: how many pages the data takes that begins here. */
const PAGES_AT = 20;
const BRANCH = 1;
const LEAF = 2;
const OVERFLOW = 4;
const META = 8;
/** The flags that say of which kind a page is; others are of use in memory only. */
const KINDS = 0x6f;
/** Node header: u16 low and u16 high part of the data's size or page number, u16 flags, u16 size of the key. */
const NODE = 8;
const BIG_DATA = 1;
const SUB_DATABASE = 2;
const NODE_FLAGS = BIG_DATA | SUB_DATABASE;
/** Data too big for a page has pages of its own; its node has u64 number, u64 transaction, u64 count. */
const BIG_NODE = 24;
/** A database's description: u32, u16 flags, u16 depth, four u64 counts, u64 page number of the root. */
const DATABASE = 48;
const DATABASE_FLAGS_AT = 4;
const DEPTH_AT = 6;
const ROOT_AT = DATABASE - 8;
/** The flags of databases whose values are trees or lists, or whose keys are numbers: byref makes none. */
const OTHER_DATABASES = 0x7e;
const NO_PAGE = 2 ** 64;
const TWO_32 = 2 ** 32;
const META_PAGES = 2;
const PAGE_SIZES = { min: 256, max: 65_536 };
/** Deeper than any tree can be. */
const DEPTH_MAX = 32;
/** A file of at most this many bytes is read at once; of a larger one each page by itself. */
const WHOLE_BYTES = 2 ** 26;

/** One tree of pages. */
interface Tree {
  readonly root: number;
  readonly depth: number;
  /** True for the tree that lists free pages. */
  readonly isFree: boolean;
}

/** One of the two meta pages: LMDB writes them alternately, and the later one counts. */
interface Meta {
  readonly pageSize: number;
  readonly transaction: bigint;
  readonly lastPage: number;
  /** The tree of free pages, and the table of databases. */
  readonly trees: readonly Tree[];
}

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

function newestMeta(fd: number): Meta | string {
  const first = readMeta(fd, 0);
  if (typeof first === 'string') return first;
  const second = readMeta(fd, first.pageSize);
  if (typeof second === 'string') return second;
  return second.transaction > first.transaction ? second : first;
}

function readMeta(fd: number, at: number): Meta | string {
  const bytes = Buffer.alloc(PAGE_SIZES.min);
  const what = `its meta page at byte ${at}`;
  if (readSync(fd, bytes, 0, bytes.length, at) < bytes.length) return `${what} is missing`;
  if ((bytes.readUInt16LE(FLAGS_AT) & META) === 0) return `${what} is none`;
  if (bytes.readUInt32LE(HEADER) !== MAGIC) return `${what} is none`;
  const version = bytes.readUInt32LE(HEADER + 4);
  if (version !== VERSION) return `${what} is of version ${version}`;
  const databases = HEADER + 24;
  const pageSize = bytes.readUInt32LE(databases);
  const { min, max } = PAGE_SIZES;
  if (pageSize < min || pageSize > max || (pageSize & (pageSize - 1)) !== 0) {
    return `${what} says that a page has ${pageSize} bytes`;
  }
  const end = databases + 2 * DATABASE;
  const lastPage = readPageNumber(bytes, end);
  try {
    const trees = [0, 1].map((n) => treeAt(bytes, databases + n * DATABASE, n === 0, what));
    return { pageSize, trees, lastPage, transaction: bytes.readBigUInt64LE(end + 8) };
  } catch (error) {
    return (error as Error).message;
  }
}

/** @throws RangeError if it is not a description of a database as byref makes them */
function treeAt(bytes: Buffer, at: number, isFree: boolean, where: string): Tree {
  const flags = bytes.readUInt16LE(at + DATABASE_FLAGS_AT);
  const depth = bytes.readUInt16LE(at + DEPTH_AT);
  const root = readPageNumber(bytes, at + ROOT_AT);
  if (!isFree && (flags & OTHER_DATABASES) !== 0) {
    throw new RangeError(`${where} describes a database of another kind`);
  }
  if ((root === NO_PAGE) !== (depth === 0) || depth > DEPTH_MAX) {
    throw new RangeError(`${where} describes a tree of ${depth} levels that can't be`);
  }
  return { root, depth, isFree };
}

/** Walks all pages that the two trees of a meta page lead to. */
class PageWalk {
  private readonly fd: number;
  private readonly meta: Meta;
  private readonly pages: number;
  /** One byte for each page: 1 if something leads to it. */
  private readonly seen: Uint8Array;
  private readonly free: number[] = [];
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
      return null;
    } catch (error) {
      if (error instanceof RangeError) return error.message;
      throw error;
    }
  }

  private walkTree(tree: Tree): void {
    if (tree.depth > 0) this.walk(tree.root, 1, tree);
  }

  private walk(page: number, level: number, tree: Tree): void {
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
    let left = bytes.length - HEADER - upper;
    for (let i = 0; i < nodes; i++) {
      const at = bytes.readUInt16LE(HEADER + 2 * i) + HEADER;
      if (at < HEADER + upper || at + NODE > bytes.length || (at & 1) !== 0) {
        throw new RangeError(`its page ${page} has nodes beyond its end`);
      }
      const data = at + NODE + bytes.readUInt16LE(at + 6);
      let end = data;
      if (kind === LEAF) end += this.leafNode(bytes, at, data, page, tree);
      if (end > bytes.length) throw new RangeError(`its page ${page} has data beyond its end`);
      left -= (end - at + 1) & ~1;
      if (kind === BRANCH) this.walk(childOf(bytes, at), level + 1, tree);
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

/** Returns a page number, or a count of pages; NO_PAGE for the number of none, and no less for what can't be one. */
const readPageNumber = (bytes: Buffer, at: number): number =>
  bytes.readUInt32LE(at + 4) * TWO_32 + bytes.readUInt32LE(at);

/** Returns a branch node's page number: 48 bits, in place of size and flags. */
const childOf = (bytes: Buffer, at: number): number =>
  bytes.readUInt16LE(at + 4) * TWO_32 + bytes.readUInt32LE(at);
