import { reasonOf } from '../../base/damaged.ts';
import type { Ino, Name } from '../../base/ids.ts';
import { nameCookie } from '../../base/name-hash.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { NameState } from './generation.ts';
import * as rows from './table-rows.ts';

/** The most directories of which it is remembered whether they have names in the table. */
const HAS_NAMES_CACHE = 16_384;

/** A row that byref cannot have written like this. */
export interface DamagedRow {
  readonly table: 'names' | 'inodes' | 'marks';
  readonly key: Buffer;
  readonly why: string;
}

/** Called with each damaged row, which is then skipped. */
export type OnDamage = (row: DamagedRow) => void;

/** A table's databases. */
export type DatabaseName = 'names' | 'inodes' | 'marks' | 'meta';

/** A row, in buffers that may be used for others later. */
export interface Row {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** One of a table's databases, for reading. */
export interface Rows {
  /** Returns the value, in a buffer that the next call may overwrite: decode it at once, never keep it. */
  get(key: Buffer): Buffer | undefined;
  /** Yields at most `limit` rows in the order of their keys, from `start` to before `end`; all if none of these is given. */
  range(start?: Buffer, end?: Buffer, limit?: number): Iterable<Row>;
  /** Returns the number of rows with keys from `start` on. */
  countFrom(start: Buffer): number;
}

/** What can be read of an env's link table (docs/internals/FORMAT.md). */
export abstract class TableView {
  /** Inos in `marks`. */
  protected readonly marks = new Set<Ino>();
  protected readonly key = Buffer.alloc(rows.NAME_KEY_MAX);
  readonly #hasNames = new Map<Ino, boolean>();

  protected abstract rows(name: DatabaseName): Rows;
  abstract close(): Promise<void>;

  /** @throws Overwritten if what was read may be of several moments, because others wrote to the table */
  confirm(): void {
    // Most tables are read in one transaction.
  }

  /** To be called once, at the end of the constructor. */
  protected readMarks(): void {
    for (const { key } of this.rows('marks').range()) this.marks.add(rows.keyIno(key));
  }

  /** Returns the state that the last checkpoint left, or null for a new table. */
  state(): rows.TableState | null {
    const value = this.rows('meta').get(rows.STATE_KEY);
    return value === undefined ? null : rows.decodeState(value);
  }

  name(dir: Ino, name: Name): NameState | null {
    const length = rows.writeNameKey(this.key, dir, nameCookie(name), name);
    const key = this.key.subarray(0, length);
    const value = this.rows('names').get(key);
    if (value === undefined) return null;
    const { ino, type } = rows.decodeName(key, value);
    return new NameState(dir, name, ino, type, true);
  }

  inode(ino: Ino): InodeRecord | null {
    const key = this.inoKey(ino);
    const value = this.rows('inodes').get(key);
    return value === undefined ? null : rows.decodeRecord(key, value);
  }

  hasInode(ino: Ino): boolean {
    return this.rows('inodes').get(this.inoKey(ino)) !== undefined;
  }

  /** Returns the number of inodes with numbers from `first` on. */
  inodesFrom(first: Ino): number {
    return this.rows('inodes').countFrom(rows.inoKey(first));
  }

  /** Returns the highest number of an inode, if that is at least `first`; else 0. Costs a row for each from there on. */
  lastIno(first: Ino): Ino | 0 {
    let last: Ino | 0 = 0;
    for (const { key } of this.rows('inodes').range(rows.inoKey(first))) last = rows.keyIno(key);
    return last;
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

  /** To be called when what hasNames() has found may no longer be so. */
  protected forgetNames(): void {
    this.#hasNames.clear();
  }

  /**
   * Returns at most `limit` names of `dir` in key order: those whose cookie is at least `cookie`; or, if
   * `afterName` is given, those after (cookie, afterName).
   */
  entries(dir: Ino, cookie: number, afterName: Name | null, limit: number): NameState[] {
    let end = rows.writeNameKey(this.key, dir, cookie, afterName ?? ('' as Name));
    // The least key after a name is that name with a zero byte appended.
    if (afterName !== null) this.key[end++] = 0;
    const start = Buffer.from(this.key.subarray(0, end));
    const stop = rows.inoKey((dir + 1) as Ino);
    const found = this.rows('names').range(start, stop, limit);
    return Array.from(found, ({ key, value }) => rows.nameState(key, value));
  }

  /** Returns the directories with a number below `end` that have names; costs one seek each. */
  dirsBelow(end: number): Ino[] {
    const dirs: Ino[] = [];
    let start = rows.inoKey(0 as Ino);
    const stop = rows.inoKey(end as Ino);
    for (;;) {
      const [first] = this.rows('names').range(start, stop, 1);
      if (first === undefined) return dirs;
      const dir = rows.keyIno(first.key);
      dirs.push(dir);
      start = rows.inoKey((dir + 1) as Ino);
    }
  }

  /** Yields every name, by directory and cookie, from one snapshot. The caller must not await in between. */
  *allNames(): Generator<NameState> {
    for (const { key, value } of this.rows('names').range()) yield rows.nameState(key, value);
  }

  /** Yields every inode record, from one snapshot. The caller must not await in between. */
  *allInodes(): Generator<InodeRecord> {
    for (const { key, value } of this.rows('inodes').range()) yield rows.decodeRecord(key, value);
  }

  /** Like allNames(), for a table that may be damaged: skips names that do not decode, or that no lookup finds. */
  *soundNames(onDamage: OnDamage): Generator<NameState> {
    for (const { key, value } of this.rows('names').range()) {
      const state = attempt(() => rows.soundNameState(key, value));
      if (state instanceof Error)
        onDamage({ table: 'names', key: Buffer.from(key), why: reasonOf(state) });
      else yield state;
    }
  }

  /** Like allInodes(), for a table that may be damaged. Also reports marks that do not match the records. */
  *soundInodes(onDamage: OnDamage): Generator<InodeRecord> {
    const marked = new Set(this.marks);
    for (const { key, value } of this.rows('inodes').range()) {
      const record = attempt(() => rows.soundRecord(key, value));
      if (record instanceof Error) {
        onDamage({ table: 'inodes', key: Buffer.from(key), why: reasonOf(record) });
        continue;
      }
      const isMarked = marked.delete(record.ino);
      const should = rows.markOf(record) !== 0;
      const why = should ? 'recovery would not look at it' : 'there is nothing to recover';
      if (isMarked !== should) onDamage({ table: 'marks', key: Buffer.from(key), why });
      yield record;
    }
    for (const ino of marked) {
      onDamage({ table: 'marks', key: rows.inoKey(ino), why: 'there is no such inode' });
    }
  }

  /** Returns the inodes that recovery has to look at: orphans and un-synced copies. */
  marked(): readonly Ino[] {
    return [...this.marks];
  }

  protected inoKey(ino: Ino): Buffer {
    rows.writeInoKey(this.key, ino);
    return this.key.subarray(0, rows.INO_KEY_SIZE);
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
