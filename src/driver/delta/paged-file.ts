import { getSystemErrorName } from 'node:util';
import { Damaged } from '../../base/damaged.ts';
import { type Keeper, keptDescriptors } from '../../base/kept-descriptors.ts';
import {
  HEADER,
  LOWER_AT,
  META_PAGES,
  type Meta,
  metaOf,
  readPageNumber,
  TRANSACTION_AT,
} from '../../base/lmdb-format.ts';
import { LmdbTree, type Pages } from '../../base/lmdb-tree.ts';
import { O_CLOEXEC } from '../../base/mode.ts';
import { AT_FDCWD, native } from '../../native/binding.ts';
import { openFile } from '../../native/open-file.ts';
import { PAGE_BYTES, type PageOwner, pageMemory } from './page-memory.ts';

/** LMDB writes to no page of a transaction before it has made two more of them (mdb_find_oldest). */
const STANDS_FOR = 1n;
/** Pages of a file that others write to are read before it is looked again whether they have. */
const CHECKED_EACH = 64;
const TRANSACTION_MAX = 2n ** 64n - 1n;

/** Says that others have written to pages since the file was opened, so that what was read may be of several moments. */
export class Overwritten extends Error {
  constructor(file: string) {
    super(`${file} was written to while it was read`);
    this.name = 'Overwritten';
  }
}

/**
 * Reads an LMDB file page by page, without LMDB: as its newest transaction left it when it was opened, or when renew() was
 * called. A page that is damaged, or can't be read, is an error, never the end of the process.
 */
export class PagedFile implements Pages, PageOwner, Keeper {
  used = 0;
  readonly pageSize = PAGE_BYTES;
  readonly memory = pageMemory.bytes;
  readonly #file: string;
  readonly #isOurs: boolean;
  #fd = -1;
  #meta: Meta;
  #unchecked = 0;
  /** The slots of the pages in memory. */
  readonly #slots = new Map<number, number>();

  /**
   * @param isOurs true if nobody writes to it but who calls renew(); else confirm() tells whether somebody has
   * @throws Damaged if it is no file of LMDB with pages of the usual size; what opening it throws
   */
  constructor(file: string, isOurs: boolean) {
    this.#file = file;
    this.#isOurs = isOurs;
    this.#meta = this.#readMeta();
  }

  /** Returns one of its databases, by name; an empty one if there is none. It is of no use after renew(). */
  database(name: string): LmdbTree {
    return LmdbTree.named(this, this.#meta, name);
  }

  /** Reads it as its newest transaction has left it, from now on. */
  renew(): void {
    this.#forgetAll();
    this.#meta = this.#readMeta();
  }

  /** @throws Overwritten if what was read may be of several moments, as even an error may come from */
  confirm(): void {
    this.#unchecked = 0;
    if (!this.#isOurs && newestTransaction(this.#open()) > this.#meta.transaction + STANDS_FOR)
      throw new Overwritten(this.#file);
  }

  at(page: number): number {
    let slot = this.#slots.get(page);
    if (slot === undefined) slot = this.#load(page);
    else pageMemory.touch(slot);
    return slot * PAGE_BYTES;
  }

  data(page: number, bytes: number): Buffer {
    const found = Buffer.allocUnsafe(bytes);
    this.#read(found, 0, bytes, page * PAGE_BYTES + HEADER);
    return found;
  }

  forget(page: number): void {
    this.#slots.delete(page);
  }

  rest(): void {
    if (this.#fd < 0) return;
    native.close(this.#fd);
    this.#fd = -1;
    keptDescriptors.closed(this, 1);
  }

  close(): void {
    this.#forgetAll();
    this.rest();
  }

  #readMeta(): Meta {
    const meta = metaOf(this.#open());
    if (meta.pageSize === PAGE_BYTES) return meta;
    this.rest();
    throw new Damaged(`its pages have ${meta.pageSize} bytes`);
  }

  #load(page: number): number {
    if (page < META_PAGES) throw new Damaged(`its page ${page} is none of a tree`);
    const slot = pageMemory.take(this, page);
    const start = slot * PAGE_BYTES;
    try {
      this.#read(this.memory, start, PAGE_BYTES, page * PAGE_BYTES);
      const isIt = readPageNumber(this.memory, start) === page;
      if (!isIt || this.memory.readUInt16LE(start + LOWER_AT) + HEADER > PAGE_BYTES)
        throw new Damaged(`its page ${page} is another one`);
    } catch (error) {
      pageMemory.release(slot);
      throw error;
    }
    this.#slots.set(page, slot);
    return slot;
  }

  #read(into: Buffer, at: number, bytes: number, from: number): void {
    const fd = this.#open();
    const got = native.pread(fd, into, at, bytes, from);
    if (got < 0) throw failed(this.#file, 'read', got);
    if (got < bytes) throw new Damaged('it ends before its last page');
    if (!this.#isOurs && ++this.#unchecked >= CHECKED_EACH) this.confirm();
  }

  #open(): number {
    if (this.#fd >= 0) {
      keptDescriptors.touch(this);
      return this.#fd;
    }
    const fd = openFile(AT_FDCWD, this.#file, O_CLOEXEC, 0);
    if (fd < 0) throw failed(this.#file, 'opened', fd);
    this.#fd = fd;
    keptDescriptors.opened(this, 1);
    return fd;
  }

  #forgetAll(): void {
    for (const slot of this.#slots.values()) pageMemory.release(slot);
    this.#slots.clear();
  }
}

/** The two meta pages, as far as the numbers of their transactions. */
const metas = Buffer.alloc(PAGE_BYTES + TRANSACTION_AT + 8);

/** Returns the number of the newest transaction; one that can't be, if the meta pages can't be read. */
function newestTransaction(fd: number): bigint {
  if (native.pread(fd, metas, 0, metas.length, 0) < metas.length) return TRANSACTION_MAX;
  const first = metas.readBigUInt64LE(TRANSACTION_AT);
  const second = metas.readBigUInt64LE(PAGE_BYTES + TRANSACTION_AT);
  return first > second ? first : second;
}

function failed(file: string, what: string, result: number): Error {
  const code = getSystemErrorName(result);
  return Object.assign(new Error(`${file} can't be ${what}: ${code}`), { code });
}
