/**
 * The format of LMDB's files, as far as byref reads them without LMDB.
 *
 * It is that of the lmdb package (dependencies/lmdb/libraries/liblmdb/mdb.c): a page begins with its own number.
 */
import { readSync } from 'node:fs';
import { Damaged } from './damaged.ts';

const MAGIC = 0xbeefc0de;
const VERSION = 2;
export const HEADER = 24;
/** Within a page header: the number of the transaction that wrote the page, as u64. */
export const WRITTEN_AT = 8;
/** Within a page header: u16 flags, u16 end of the list of nodes, u16 begin of the nodes; both counted from the end of the header. */
export const FLAGS_AT = 18;
export const LOWER_AT = 20;
export const UPPER_AT = 22;
/** In place of the latter two: how many pages the data takes that begins here. */
export const PAGES_AT = 20;
export const BRANCH = 1;
export const LEAF = 2;
export const OVERFLOW = 4;
const META = 8;
/** The flags that say of which kind a page is; others are of use in memory only. */
export const KINDS = 0x6f;
/** Node header: u16 low and u16 high part of the data's size or page number, u16 flags, u16 size of the key. */
export const NODE = 8;
export const BIG_DATA = 1;
export const SUB_DATABASE = 2;
/** Data too big for a page has pages of its own; its node has u64 number, u64 transaction, u64 count. */
export const BIG_NODE = 24;
/** A database's description: u32, u16 flags, u16 depth, four u64 counts, u64 page number of the root. */
export const DATABASE = 48;
const DATABASE_FLAGS_AT = 4;
const DEPTH_AT = 6;
const ROOT_AT = DATABASE - 8;
/** The flags of databases whose values are trees or lists, or whose keys are numbers: byref makes none. */
const OTHER_DATABASES = 0x7e;
const NO_PAGE = 2 ** 64;
const TWO_32 = 2 ** 32;
export const META_PAGES = 2;
const PAGE_SIZES = { min: 256, max: 65_536 };
/** Where a meta page has the number of its transaction, as u64. */
export const TRANSACTION_AT = HEADER + 24 + 2 * DATABASE + 8;
/** Deeper than any tree can be. */
const DEPTH_MAX = 32;
/** One tree of pages. */
export interface Tree {
  readonly root: number;
  readonly depth: number;
  /** True for the tree that lists free pages. */
  readonly isFree: boolean;
}

/** One of the two meta pages: LMDB writes them alternately, and the later one counts. */
export interface Meta {
  readonly pageSize: number;
  readonly transaction: bigint;
  readonly lastPage: number;
  /** The tree of free pages, and the table of databases. */
  readonly trees: readonly Tree[];
}

/** Returns the meta page that counts, or why there is none. */
export function newestMeta(fd: number): Meta | string {
  const first = readMeta(fd, 0);
  if (typeof first === 'string') return first;
  const second = readMeta(fd, first.pageSize);
  if (typeof second === 'string') return second;
  return second.transaction > first.transaction ? second : first;
}

/** Like newestMeta(). @throws Damaged if there is none */
export function metaOf(fd: number): Meta {
  const meta = newestMeta(fd);
  if (typeof meta === 'string') throw new Damaged(meta);
  return meta;
}

/** Reads the meta page at this byte; of one that LMDB writes meanwhile, any part may be old. */
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
    return { pageSize, trees, lastPage, transaction: bytes.readBigUInt64LE(TRANSACTION_AT) };
  } catch (error) {
    return (error as Error).message;
  }
}

/** Reads the description of a database. @throws RangeError if it is not one of a database as byref makes them */
export function treeAt(bytes: Buffer, at: number, isFree: boolean, where: string): Tree {
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

/** Returns a page number, or a count of pages; NO_PAGE for the number of none, and no less for what can't be one. */
export const readPageNumber = (bytes: Buffer, at: number): number =>
  bytes.readUInt32LE(at + 4) * TWO_32 + bytes.readUInt32LE(at);

/** Returns a branch node's page number: 48 bits, in place of size and flags. */
export const childOf = (bytes: Buffer, at: number): number =>
  bytes.readUInt16LE(at + 4) * TWO_32 + bytes.readUInt32LE(at);
