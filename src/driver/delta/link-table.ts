import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Database, open, type RootDatabase, type Transaction } from 'lmdb';
import { reasonOf } from '../../base/damaged.ts';
import type { Ino, Name } from '../../base/ids.ts';
import { type Keeper, keptDescriptors } from '../../base/kept-descriptors.ts';
import { noteCommit } from '../../base/lmdb-check.ts';
import { nameCookie } from '../../base/name-hash.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { decodeInode } from '../../codec/inode-record-codec.ts';
import { openTablesIn } from '../../native/table-lock.ts';
import { type Generation, NameState } from './generation.ts';
import * as rows from './table-rows.ts';

const BINARY = { keyEncoding: 'binary', encoding: 'binary' } as const;
/** More than LMDB needs for its 126 readers. */
const LOCK_FILE_SIZE = 12_288;
/** How many descriptors LMDB keeps: the data twice, and the lock file. */
const LMDB_DESCRIPTORS = 3;
/** The most directories of which it is remembered whether they have names in the table. */
const HAS_NAMES_CACHE = 16_384;

/** lmdb's own declaration leaves out the second parameter. */
interface FastGet {
  getBinaryFast(key: Buffer, options: object): Buffer | undefined;
}

type Table = Database<Buffer, Buffer>;

/** What is open of a table. */
interface Databases {
  readonly root: RootDatabase<Buffer, Buffer>;
  readonly names: Table;
  readonly inodes: Table;
  readonly marks: Table;
  readonly meta: Table;
}

/** A row that byref cannot have written like this. */
export interface DamagedRow {
  readonly table: 'names' | 'inodes' | 'marks';
  readonly key: Buffer;
  readonly why: string;
}

/** Called with each damaged row, which is then skipped. */
export type OnDamage = (row: DamagedRow) => void;

/**
 * The link table of one env: LMDB with four databases (docs/internals/FORMAT.md). Its content is always the env's
 * history up to `state().sequence`; while a checkpoint runs, it is on the way to a later change that the journal
 * still holds.
 */
export class LinkTable implements Keeper {
  used = 0;
  /** LMDB keeps about 0.2 MiB for it. */
  readonly isLarge = true;
  readonly #dir: string;
  readonly #readOnly: boolean;
  /** Null while it is closed because descriptors are short: whoever needs it opens it again. */
  #databases: Databases | null = null;
  /** How much goes on that needs it open. */
  #inUse = 0;
  readonly #hasNames = new Map<Ino, boolean>();
  /** Inos in `marks`, so that the many inodes without a mark cost no write there. */
  readonly #marked = new Set<Ino>();
  readonly #key = Buffer.alloc(rows.NAME_KEY_MAX);
  /** Set for a table that others write to: it is read in one snapshot. */
  readonly #snapshot: { readonly transaction?: Transaction };

  /** @param dir holds the table, which was checked: LMDB does not survive a damaged one */
  constructor(dir: string, readOnly: boolean) {
    this.#dir = dir;
    this.#readOnly = readOnly;
    const { root } = this.#open();
    this.#snapshot = readOnly ? { transaction: root.useReadTransaction() } : {};
    // The snapshot goes with it.
    if (readOnly) this.#inUse++;
    for (const key of this.#open().marks.getKeys({ ...this.#snapshot }))
      this.#marked.add(rows.keyIno(key));
  }

  /** Returns its databases, and opens them if they are closed. */
  #open(): Databases {
    keptDescriptors.touch(this);
    if (this.#databases !== null) return this.#databases;
    const options = {
      path: this.#dir,
      noSubdir: false,
      maxDbs: 4,
      overlappingSync: false,
      readOnly: this.#readOnly,
      ...BINARY,
    };
    const root = openTablesIn(this.#dir, LOCK_FILE_SIZE, () => open<Buffer, Buffer>(options));
    const [names, inodes, marks, meta] = ['names', 'inodes', 'marks', 'meta'].map((name) =>
      root.openDB(name, BINARY),
    ) as [Table, Table, Table, Table];
    this.#databases = { root, names, inodes, marks, meta };
    keptDescriptors.opened(this, LMDB_DESCRIPTORS);
    return this.#databases;
  }

  /** Closes it until it is used again, unless it is in use. */
  rest(): void {
    if (this.#inUse === 0) void this.#close();
  }

  /** Opens it, and keeps it open until the returned function is called. */
  hold(): () => void {
    this.#open();
    this.#inUse++;
    return () => {
      this.#inUse--;
    };
  }

  #close(): Promise<void> {
    if (this.#databases === null) return Promise.resolve();
    const { root } = this.#databases;
    this.#databases = null;
    keptDescriptors.closed(this, LMDB_DESCRIPTORS);
    return root.close();
  }

  static exists(dir: string): boolean {
    return existsSync(path.join(dir, 'data.mdb'));
  }

  /** Opens a table for writing. Throws LMDB's error if the file is damaged. */
  static open(dir: string): LinkTable {
    return new LinkTable(dir, false);
  }

  /** Returns the state that the last checkpoint left, or null for a new table. */
  state(): rows.TableState | null {
    const value = this.#open().meta.get(rows.STATE_KEY, this.#snapshot);
    return value === undefined ? null : rows.decodeState(value);
  }

  name(dir: Ino, name: Name): NameState | null {
    const length = rows.writeNameKey(this.#key, dir, nameCookie(name), name);
    const value = this.#get(this.#open().names, this.#key.subarray(0, length));
    if (value === undefined) return null;
    return new NameState(dir, name, rows.nameIno(value), rows.nameType(value), true);
  }

  inode(ino: Ino): InodeRecord | null {
    const value = this.#get(this.#open().inodes, this.#inoKey(ino));
    return value === undefined ? null : decodeInode(value, 0, value.length);
  }

  hasInode(ino: Ino): boolean {
    return this.#get(this.#open().inodes, this.#inoKey(ino)) !== undefined;
  }

  /** Returns the number of inodes with numbers from `first` on. */
  inodesFrom(first: Ino): number {
    return this.#open().inodes.getKeysCount({ start: rows.inoKey(first), ...this.#snapshot });
  }

  /** Returns true if hasNames() has found that the directory has no names. */
  isKnownEmpty(dir: Ino): boolean {
    return this.#hasNames.get(dir) === false;
  }

  hasNames(dir: Ino): boolean {
    let has = this.#hasNames.get(dir);
    if (has === undefined) {
      has = this.entries(dir, 0, null, 1).length > 0;
      if (this.#hasNames.size >= HAS_NAMES_CACHE) this.#hasNames.clear();
      this.#hasNames.set(dir, has);
    }
    return has;
  }

  /**
   * Returns at most `limit` names of `dir` in key order: those whose cookie is at least `cookie`; or, if
   * `afterName` is given, those after (cookie, afterName).
   */
  entries(dir: Ino, cookie: number, afterName: Name | null, limit: number): NameState[] {
    let end = rows.writeNameKey(this.#key, dir, cookie, afterName ?? ('' as Name));
    // The least key after a name is that name with a zero byte appended.
    if (afterName !== null) this.#key[end++] = 0;
    const start = Buffer.from(this.#key.subarray(0, end));
    const stop = rows.inoKey((dir + 1) as Ino);
    const range = { start, end: stop, limit, ...this.#snapshot };
    const out: NameState[] = [];
    for (const { key, value } of this.#open().names.getRange(range)) {
      out.push(rows.nameState(key, value));
    }
    return out;
  }

  /** Returns the directories with a number below `end` that have names; costs one seek each. */
  dirsBelow(end: number): Ino[] {
    const dirs: Ino[] = [];
    let start = rows.inoKey(0 as Ino);
    const stop = rows.inoKey(end as Ino);
    for (;;) {
      const range = { start, end: stop, limit: 1, ...this.#snapshot };
      const [key] = this.#open().names.getKeys(range);
      if (key === undefined) return dirs;
      const dir = rows.keyIno(key);
      dirs.push(dir);
      start = rows.inoKey((dir + 1) as Ino);
    }
  }

  /** Yields every name, by directory and cookie, from one snapshot. The caller must not await in between. */
  *allNames(): Generator<NameState> {
    for (const { key, value } of this.#range('names')) yield rows.nameState(key, value);
  }

  /** Yields every inode record, from one snapshot. The caller must not await in between. */
  *allInodes(): Generator<InodeRecord> {
    for (const { value } of this.#range('inodes')) yield decodeInode(value, 0, value.length);
  }

  /** Yields all rows of a database, which stays open meanwhile. */
  *#range(name: 'names' | 'inodes'): Generator<{ key: Buffer; value: Buffer }> {
    const letGo = this.hold();
    try {
      yield* this.#open()[name].getRange({ ...this.#snapshot });
    } finally {
      letGo();
    }
  }

  /** Like allNames(), for a table that may be damaged: skips names that do not decode, or that no lookup finds. */
  *soundNames(onDamage: OnDamage): Generator<NameState> {
    for (const { key, value } of this.#range('names')) {
      const state = attempt(() => rows.soundNameState(key, value));
      if (state instanceof Error) onDamage({ table: 'names', key, why: reasonOf(state) });
      else yield state;
    }
  }

  /** Like allInodes(), for a table that may be damaged. Also reports marks that do not match the records. */
  *soundInodes(onDamage: OnDamage): Generator<InodeRecord> {
    const marked = new Set(this.#marked);
    for (const { key, value } of this.#range('inodes')) {
      const record = attempt(() => rows.soundRecord(key, value));
      if (record instanceof Error) {
        onDamage({ table: 'inodes', key, why: reasonOf(record) });
        continue;
      }
      const isMarked = marked.delete(record.ino);
      const should = rows.markOf(record) !== 0;
      const why = should ? 'recovery would not look at it' : 'there is nothing to recover';
      if (isMarked !== should) onDamage({ table: 'marks', key, why });
      yield record;
    }
    for (const ino of marked) {
      onDamage({ table: 'marks', key: rows.inoKey(ino), why: 'there is no such inode' });
    }
  }

  /** Returns the inodes that recovery has to look at: orphans and un-synced copies. */
  marked(): readonly Ino[] {
    return [...this.#marked];
  }

  /**
   * Runs one transaction, which is on disk when it returns; throws, with nothing written, if it fails. It waits
   * for the disk, so only the checkpoint thread may call it. (lmdb's asynchronous writes corrupt the heap when the
   * disk is full: measured with 3.5.6.)
   */
  write(mutate: () => void): void {
    const letGo = this.hold();
    try {
      this.#open().root.transactionSync(() => {
        mutate();
        return true;
      });
      noteCommit(this.#dir);
    } finally {
      letGo();
    }
  }

  /** Stores or clears all names and inodes of a generation; only within write(). */
  putAll(generation: Generation): void {
    for (const [ino, record] of generation.inodes) this.putInode(ino, record);
    for (const names of generation.dirs.values()) {
      for (const state of names.states.values()) this.putName(state);
    }
  }

  /** Stores or clears a name; only within write(). */
  putName(state: NameState): void {
    const length = rows.writeNameKey(this.#key, state.dir, state.cookie, state.name);
    const key = this.#key.subarray(0, length);
    if (state.present) this.#open().names.putSync(key, rows.encodeName(state));
    else this.#open().names.removeSync(key);
  }

  /** Stores or clears an inode and its mark; only within write(). */
  putInode(ino: Ino, record: InodeRecord | null): void {
    const key = this.#inoKey(ino);
    const mark = record === null ? 0 : rows.markOf(record);
    if (mark !== 0) {
      this.#marked.add(ino);
      this.#open().marks.putSync(key, Buffer.of(mark));
    } else if (this.#marked.delete(ino)) {
      this.#open().marks.removeSync(key);
    }
    if (record === null) this.#open().inodes.removeSync(key);
    else this.#open().inodes.putSync(key, rows.encodeInodeValue(record));
  }

  /** Stores the table's state; only within write(). */
  putState(state: rows.TableState): void {
    this.#open().meta.putSync(rows.STATE_KEY, rows.encodeState(state));
  }

  /** Makes later reads see what was committed before this call. */
  refresh(): void {
    this.#databases?.root.resetReadTxn();
    this.#hasNames.clear();
  }

  close(): Promise<void> {
    this.#snapshot.transaction?.done();
    return this.#close();
  }

  /** Returns the value, in a buffer that the next get overwrites: decode it at once, never keep it. */
  #get(database: Database<Buffer, Buffer>, key: Buffer): Buffer | undefined {
    return (database as FastGet).getBinaryFast(key, this.#snapshot);
  }

  #inoKey(ino: Ino): Buffer {
    rows.writeInoKey(this.#key, ino);
    return this.#key.subarray(0, rows.INO_KEY_SIZE);
  }
}

/** Returns what `read` returns, or the error it throws. */
function attempt<T>(read: () => T): T | Error {
  try {
    return read();
  } catch (error) {
    return error as Error;
  }
}
