import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import type { Ino, Name } from '../base/ids.ts';
import { nameCookie } from '../base/name-hash.ts';
import type { InodeRecord } from '../codec/inode-record.ts';
import { decodeInode } from '../codec/inode-record-codec.ts';
import { NameState } from './generation.ts';
import * as rows from './table-rows.ts';

const BINARY = { keyEncoding: 'binary', encoding: 'binary' } as const;
/** Directories remembered to have, or not to have, names in the table. */
const HAS_NAMES_CACHE = 16_384;

/** Puts and removes in flight: each settles when the transaction it is in is on disk, or failed. */
export type Writes = Set<Promise<boolean>>;

/**
 * The link table of one env: LMDB with four databases (docs/FORMAT.md). It is always some prefix of the
 * env's history as of `state().sequence`, or on the way to a later one that the journal still holds.
 */
export class LinkTable {
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #names: Database<Buffer, Buffer>;
  readonly #inodes: Database<Buffer, Buffer>;
  readonly #marks: Database<Buffer, Buffer>;
  readonly #meta: Database<Buffer, Buffer>;
  readonly #hasNames = new Map<Ino, boolean>();
  /** Inos in `marks`, so that the many inodes without a mark cost no write there. */
  readonly #marked = new Set<Ino>();
  readonly #key = Buffer.alloc(rows.NAME_KEY_MAX);

  constructor(dir: string, readOnly: boolean) {
    const options = { path: dir, maxDbs: 4, overlappingSync: false, readOnly, ...BINARY };
    this.#root = open<Buffer, Buffer>(options);
    this.#names = this.#root.openDB('names', BINARY);
    this.#inodes = this.#root.openDB('inodes', BINARY);
    this.#marks = this.#root.openDB('marks', BINARY);
    this.#meta = this.#root.openDB('meta', BINARY);
    for (const key of this.#marks.getKeys({})) this.#marked.add(rows.keyIno(key));
  }

  static exists(dir: string): boolean {
    return existsSync(path.join(dir, 'data.mdb'));
  }

  /** Opens or creates the table. Throws what LMDB throws if the file is damaged. */
  static create(dir: string): LinkTable {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    return new LinkTable(dir, false);
  }

  /** What the table holds, or null for a new table. */
  state(): rows.TableState | null {
    const value = this.#meta.getBinary(rows.STATE_KEY);
    return value === undefined ? null : rows.decodeState(value);
  }

  name(dir: Ino, name: Name): NameState | null {
    const length = rows.writeNameKey(this.#key, dir, nameCookie(name), name);
    const value = this.#names.getBinaryFast(this.#key.subarray(0, length));
    if (value === undefined) return null;
    return new NameState(dir, name, rows.nameIno(value), rows.nameType(value), true);
  }

  inode(ino: Ino): InodeRecord | null {
    const value = this.#inodes.getBinaryFast(this.#inoKey(ino));
    return value === undefined ? null : decodeInode(value, 0, value.length);
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
   * At most `limit` names of `dir` in key order: those with a cookie of `cookie` or more or, where
   * `afterName` is given, those after (cookie, afterName).
   */
  entries(dir: Ino, cookie: number, afterName: Name | null, limit: number): NameState[] {
    let end = rows.writeNameKey(this.#key, dir, cookie, afterName ?? ('' as Name));
    // The least key after a name is that name and a zero byte.
    if (afterName !== null) this.#key[end++] = 0;
    const start = Buffer.from(this.#key.subarray(0, end));
    const stop = rows.inoKey((dir + 1) as Ino);
    const out: NameState[] = [];
    for (const { key, value } of this.#names.getRange({ start, end: stop, limit })) {
      out.push(rows.nameState(key, value));
    }
    return out;
  }

  /** Every name, by directory and cookie. One snapshot; not while the caller awaits. */
  *allNames(): Generator<NameState> {
    for (const { key, value } of this.#names.getRange({})) yield rows.nameState(key, value);
  }

  *allInodes(): Generator<InodeRecord> {
    for (const { value } of this.#inodes.getRange({})) yield decodeInode(value, 0, value.length);
  }

  /** The inodes that recovery has to look at: orphans and un-synced copies. */
  marked(): readonly Ino[] {
    return [...this.#marked];
  }

  putName(state: NameState, writes: Writes): void {
    const length = rows.writeNameKey(this.#key, state.dir, state.cookie, state.name);
    const key = this.#key.subarray(0, length);
    if (state.present) {
      this.#hasNames.set(state.dir, true);
      writes.add(this.#names.put(key, rows.encodeName(state)));
    } else {
      writes.add(this.#names.remove(key));
    }
  }

  putInode(ino: Ino, record: InodeRecord | null, writes: Writes): void {
    const key = this.#inoKey(ino);
    const mark = record === null ? 0 : rows.markOf(record);
    if (mark !== 0) {
      this.#marked.add(ino);
      writes.add(this.#marks.put(key, Buffer.of(mark)));
    } else if (this.#marked.delete(ino)) {
      writes.add(this.#marks.remove(key));
    }
    if (record === null) writes.add(this.#inodes.remove(key));
    else writes.add(this.#inodes.put(key, rows.encodeInodeValue(record)));
  }

  putState(state: rows.TableState): Promise<boolean> {
    return this.#meta.put(rows.STATE_KEY, rows.encodeState(state));
  }

  /** Reads see what was committed before this call. */
  refresh(): void {
    this.#root.resetReadTxn();
    this.#hasNames.clear();
  }

  close(): Promise<void> {
    return this.#root.close();
  }

  #inoKey(ino: Ino): Buffer {
    rows.writeInoKey(this.#key, ino);
    return this.#key.subarray(0, rows.INO_KEY_SIZE);
  }
}
