import { existsSync, fstatSync, statfsSync, statSync } from 'node:fs';
import path from 'node:path';
import { type Database, open, type RootDatabase, type Transaction } from 'lmdb';
import { isFull } from '../../base/errno.ts';
import type { Ino } from '../../base/ids.ts';
import { noteCommit } from '../../base/lmdb-check.ts';
import { O_CLOEXEC, O_CREAT, O_RDWR } from '../../base/mode.ts';
import { BLOCK_BYTES, type InodeRecord } from '../../codec/inode-record.ts';
import { inodeBytesMax } from '../../codec/inode-record-codec.ts';
import { AT_FDCWD, native } from '../../native/binding.ts';
import { guardWrite } from '../../native/failed-writes.ts';
import { openFile } from '../../native/open-file.ts';
import { closeTables } from '../../native/table-guard.ts';
import { openTablesIn } from '../../native/table-lock.ts';
import type { Generation, NameState } from './generation.ts';
import * as rows from './table-rows.ts';
import { type DatabaseName, type Row, type Rows, TableView } from './table-view.ts';

const BINARY = { keyEncoding: 'binary', encoding: 'binary' } as const;
/** More than LMDB needs for its 126 readers. */
const LOCK_FILE_SIZE = 12_288;
/** How many descriptors LMDB keeps: the data twice, and the lock file. */
export const LMDB_DESCRIPTORS = 3;

/** How much is set aside beyond a table's end: a part of its length, within bounds. */
const TAIL_PART = 4;
const TAIL_MIN = 256 * 1024;
const TAIL_MAX = 1024 * 1024;
const FALLOC_FL_KEEP_SIZE = 1;
/** A disk with this many times the space that a transaction needs, and this much more, has it. */
const ROOMY = 4;
const ROOMY_MIN = 16 * 2 ** 20;
const PAGE_BYTES = 4096;
/** Pages that a transaction writes besides those of rows: its list of databases, and lists of free pages. */
const PAGES_MIN = 8;
/** The least number of nodes on a page that leads to others. */
const FANOUT = 20;
/** About what a row takes besides its name or record. */
const ROW_BYTES = 64;

/**
 * Returns how many bytes a transaction writes at most. LMDB writes each page that changes to another place, and those on the way
 * to it; a page that is full becomes two.
 * @param pages how many the table has
 */
function bytesFor({ inodes, dirs }: Generation, pages: number): number {
  let rows = 0;
  let bytes = 0;
  for (const record of inodes.values()) {
    rows++;
    bytes += ROW_BYTES + (record === null ? 0 : inodeBytesMax(record));
  }
  for (const { states } of dirs.values()) {
    rows += states.size;
    for (const name of states.keys()) bytes += ROW_BYTES + name.length;
  }
  const depth = 1 + Math.ceil(Math.log(Math.max(1, pages)) / Math.log(FANOUT));
  const changed = Math.min(rows * (depth + 1), 2 * pages + 2);
  return Math.ceil((PAGES_MIN + changed) * PAGE_BYTES + 2 * bytes);
}

/** Sets space aside beyond the end of a file. Returns false if there is none. */
export function setAside(file: string, bytes: number): boolean {
  const fd = openFile(AT_FDCWD, file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
  if (fd < 0) return !isFull(fd);
  const failed = native.fallocate(fd, FALLOC_FL_KEEP_SIZE, fstatSync(fd).size, bytes);
  native.close(fd);
  return !isFull(failed);
}

/** lmdb's own declaration leaves out the second parameter. */
interface FastGet {
  getBinaryFast(key: Buffer, options: object): Buffer | undefined;
}

/** One database, as LMDB has it open. */
class Table implements Rows {
  private readonly database: Database<Buffer, Buffer>;
  /** The transaction that it is read in; none for a table that only its own process writes to. */
  private readonly snapshot: { readonly transaction?: Transaction };

  constructor(
    database: Database<Buffer, Buffer>,
    snapshot: { readonly transaction?: Transaction },
  ) {
    this.database = database;
    this.snapshot = snapshot;
  }

  get(key: Buffer): Buffer | undefined {
    return (this.database as FastGet).getBinaryFast(key, this.snapshot);
  }

  range(start?: Buffer, end?: Buffer, limit?: number): Iterable<Row> {
    const range = {
      ...(start === undefined ? {} : { start }),
      ...(end === undefined ? {} : { end }),
      ...(limit === undefined ? {} : { limit }),
    };
    return this.database.getRange({ ...range, ...this.snapshot });
  }

  countFrom(start: Buffer): number {
    return this.database.getKeysCount({ start, ...this.snapshot });
  }

  put(key: Buffer, value: Buffer): void {
    this.database.putSync(key, value);
  }

  remove(key: Buffer): void {
    this.database.removeSync(key);
  }
}

const DATABASES: readonly DatabaseName[] = ['names', 'inodes', 'marks', 'meta'];

/** What is open of a table. */
interface Databases extends Readonly<Record<DatabaseName, Table>> {
  readonly root: RootDatabase<Buffer, Buffer>;
}

/**
 * The link table of one env, opened with LMDB: four databases (docs/internals/FORMAT.md). Only the checkpoint thread writes
 * to it; the driver reads it by an OwnTable.
 */
export class LinkTable extends TableView {
  readonly #dir: string;
  readonly #file: string;
  readonly #databases: Databases;
  /** Set for a table that others write to: it is read in one snapshot. */
  readonly #snapshot: { readonly transaction?: Transaction };

  /** @param dir holds the table, which was checked: LMDB does not survive a damaged one */
  constructor(dir: string, readOnly: boolean) {
    super();
    this.#dir = dir;
    this.#file = path.join(dir, 'data.mdb');
    const options = {
      path: dir,
      noSubdir: false,
      maxDbs: 4,
      overlappingSync: false,
      readOnly,
      ...BINARY,
    };
    const root = openTablesIn(dir, LOCK_FILE_SIZE, () => open<Buffer, Buffer>(options));
    const opened = DATABASES.map((name) => root.openDB<Buffer, Buffer>(name, BINARY));
    // They must be open before a transaction reads them.
    const snapshot = readOnly ? { transaction: root.useReadTransaction() } : {};
    const [names, inodes, marks, meta] = opened.map((database) => new Table(database, snapshot));
    this.#databases = { root, names: names!, inodes: inodes!, marks: marks!, meta: meta! };
    this.#snapshot = snapshot;
    this.readMarks();
  }

  protected override rows(name: DatabaseName): Rows {
    return this.#databases[name];
  }

  static exists(dir: string): boolean {
    return existsSync(path.join(dir, 'data.mdb'));
  }

  /** Opens a table for writing. Throws LMDB's error if the file is damaged. */
  static open(dir: string): LinkTable {
    return new LinkTable(dir, false);
  }

  /**
   * Runs one transaction, which is on disk when it returns; throws, with nothing written, if it fails. It waits
   * for the disk, so only the checkpoint thread may call it.
   */
  write(mutate: () => void): void {
    guardWrite(() =>
      this.#databases.root.transactionSync(() => {
        mutate();
        return true;
      }),
    );
    this.#keepTail();
    noteCommit(this.#dir);
  }

  /**
   * Sees to it that a transaction which stores this generation finds space. Returns false if there is none: then it must not be
   * begun: it would fail half-way.
   */
  hasSpaceFor(generation: Generation): boolean {
    const size = statSync(this.#file).size;
    const bytes = bytesFor(generation, size / PAGE_BYTES);
    const { bfree, bsize } = statfsSync(this.#dir);
    return bfree * bsize > ROOMY * bytes + ROOMY_MIN || setAside(this.#file, bytes);
  }

  /** Sets space aside beyond the end of the file for later transactions: what their pages free serves the next ones. */
  #keepTail(): void {
    const { size, blocks } = statSync(this.#file);
    const bytes = Math.floor(Math.min(TAIL_MAX, Math.max(TAIL_MIN, size / TAIL_PART)));
    if (blocks * BLOCK_BYTES < size + bytes / 2) setAside(this.#file, bytes);
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
    const length = rows.writeNameKey(this.key, state.dir, state.cookie, state.name);
    const key = this.key.subarray(0, length);
    if (state.present) this.#databases.names.put(key, rows.encodeName(key, state));
    else this.#databases.names.remove(key);
  }

  /** Stores or clears an inode and its mark; only within write(). */
  putInode(ino: Ino, record: InodeRecord | null): void {
    const key = this.inoKey(ino);
    const mark = record === null ? 0 : rows.markOf(record);
    if (mark !== 0) {
      this.marks.add(ino);
      this.#databases.marks.put(key, Buffer.of(mark));
    } else if (this.marks.delete(ino)) {
      this.#databases.marks.remove(key);
    }
    if (record === null) this.#databases.inodes.remove(key);
    else this.#databases.inodes.put(key, rows.encodeInodeValue(key, record));
  }

  /** Stores the table's state; only within write(). */
  putState(state: rows.TableState): void {
    this.#databases.meta.put(rows.STATE_KEY, rows.encodeState(state));
  }

  override close(): Promise<void> {
    this.#snapshot.transaction?.done();
    return closeTables(this.#databases.root);
  }
}
