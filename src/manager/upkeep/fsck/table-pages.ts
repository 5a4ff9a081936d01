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
/** Within a page header: u16 flags, u16 end of the list of nodes; all counted from the end of the header. */
const FLAGS_AT = 18;
const LOWER_AT = 20;
const BRANCH = 1;
const LEAF = 2;
const META = 8;
/** Node header: u16 low and u16 high part of the data's size or page number, u16 flags, u16 size of the key. */
const NODE = 8;
const BIG_DATA = 1;
const SUB_DATABASE = 2;
/** A database's description: its root's page number is in its last 8 bytes. */
const DATABASE = 48;
const NO_PAGE = 0xffffffffffffffffn;
const META_PAGES = 2;
const PAGE_SIZES = { min: 256, max: 65_536 };
/** Deeper than any tree can be. */
const DEPTH_MAX = 32;
const ATTEMPTS = 10;

/** One of the two meta pages: LMDB writes them alternately, and the later one counts. */
interface Meta {
  readonly pageSize: number;
  readonly transaction: bigint;
  /** The roots of the tree of free pages, and of the table of databases. */
  readonly roots: readonly bigint[];
}

/** Returns why the file must not be opened with LMDB, or null. If it is written to meanwhile, it is checked again. */
export function pageDamage(file: string): string | null {
  const fd = openSync(file, 'r');
  try {
    for (let attempt = 1; ; attempt++) {
      const meta = newestMeta(fd);
      if (typeof meta === 'string') return meta;
      const found = new PageWalk(fd, meta.pageSize).damage(meta.roots);
      const later = newestMeta(fd);
      const isSame = typeof later !== 'string' && later.transaction === meta.transaction;
      if (found === null || isSame || attempt === ATTEMPTS) return found;
    }
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
  const roots = [1, 2].map((n) => bytes.readBigUInt64LE(databases + n * DATABASE - 8));
  return { pageSize, roots, transaction: bytes.readBigUInt64LE(databases + 2 * DATABASE + 8) };
}

class PageWalk {
  private readonly fd: number;
  private readonly pageSize: number;
  private readonly pages: bigint;
  private readonly seen = new Set<bigint>();

  constructor(fd: number, pageSize: number) {
    this.fd = fd;
    this.pageSize = pageSize;
    this.pages = BigInt(Math.floor(fstatSync(fd).size / pageSize));
  }

  damage(roots: readonly bigint[]): string | null {
    try {
      for (const root of roots) this.walk(root, 0);
      return null;
    } catch (error) {
      if (error instanceof RangeError) return error.message;
      throw error;
    }
  }

  private walk(page: bigint, depth: number): void {
    if (page === NO_PAGE) return;
    if (this.seen.has(page)) throw new RangeError(`its page ${page} is used twice`);
    if (depth > DEPTH_MAX) throw new RangeError(`its page ${page} is ${depth} levels deep`);
    this.seen.add(page);
    const bytes = this.read(page);
    const flags = bytes.readUInt16LE(FLAGS_AT) & (BRANCH | LEAF);
    const nodes = bytes.readUInt16LE(LOWER_AT) >> 1;
    if (flags !== BRANCH && flags !== LEAF) throw new RangeError(`its page ${page} is of no kind`);
    if (HEADER + 2 * nodes > bytes.length) throw new RangeError(`its page ${page} is too full`);
    for (let i = 0; i < nodes; i++) {
      const at = bytes.readUInt16LE(HEADER + 2 * i) + HEADER;
      if (at + NODE > bytes.length)
        throw new RangeError(`its page ${page} has nodes beyond its end`);
      if (flags === BRANCH) this.walk(childOf(bytes, at), depth + 1);
      else this.leafNode(bytes, at, page, depth);
    }
  }

  private leafNode(bytes: Buffer, at: number, page: bigint, depth: number): void {
    const flags = bytes.readUInt16LE(at + 4);
    const data = at + NODE + bytes.readUInt16LE(at + 6);
    const size = bytes.readUInt32LE(at);
    const big = (flags & BIG_DATA) !== 0;
    // Data too big for a page has pages of its own: u64 number, u64 transaction, u64 count.
    if (data + (big ? 24 : size) > bytes.length) {
      throw new RangeError(`its page ${page} has data beyond its end`);
    }
    if (big) this.bigData(bytes.readBigUInt64LE(data), bytes.readBigUInt64LE(data + 16), page);
    if ((flags & SUB_DATABASE) === 0) return;
    if (size !== DATABASE) throw new RangeError(`its page ${page} describes no database`);
    this.walk(bytes.readBigUInt64LE(data + DATABASE - 8), depth + 1);
  }

  private bigData(first: bigint, count: bigint, page: bigint): void {
    if (count === 0n || first + count > this.pages) {
      throw new RangeError(`its page ${page} has data beyond the end of the file`);
    }
    this.read(first);
  }

  private read(page: bigint): Buffer {
    if (page >= this.pages) throw new RangeError(`its page ${page} is beyond the end of the file`);
    const bytes = Buffer.allocUnsafe(this.pageSize);
    readSync(this.fd, bytes, 0, bytes.length, Number(page) * this.pageSize);
    const number = bytes.readBigUInt64LE(0);
    if (page < META_PAGES || number !== page)
      throw new RangeError(`its page ${page} is another one`);
    return bytes;
  }
}

/** Returns a branch node's page number: 48 bits, in place of size and flags. */
const childOf = (bytes: Buffer, at: number): bigint =>
  BigInt(bytes.readUInt16LE(at + 4)) * 2n ** 32n + BigInt(bytes.readUInt32LE(at));
