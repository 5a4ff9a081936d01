/** Opens the store's LMDB environment, which has one named database per table. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { ABORT, type Database, open, type RootDatabase } from 'lmdb';
import { ByrefError } from '../base/error.ts';
import { EXIT } from '../base/exit-codes.ts';
import { noteCommit, tableDamage } from '../base/lmdb-check.ts';
import { isNoSpaceFor } from '../base/no-space.ts';
import { decodeNumber, encodeNumber } from '../codec/store-rows.ts';
import { native } from '../native/binding.ts';
import { guardWrite } from '../native/failed-writes.ts';
import { closeTables } from '../native/table-guard.ts';
import { openTablesIn } from '../native/table-lock.ts';
import { textKey } from './keys.ts';
import { hasSums } from './marker.ts';
import { damagedRow } from './row-place.ts';
import { Table } from './table.ts';

/** The names of all tables of a root. */
export const TABLES = [
  'meta',
  'templates',
  'templateNames',
  'versions',
  'links',
  'changes',
  'templateDirs',
  'inodes',
  'dirs',
  'dirNames',
  'objects',
  'envs',
  'envNames',
  'patches',
  'patchEnvs',
  'accounts',
  'settings',
  'identities',
] as const;
/** The name of one of the tables. */
export type TableName = (typeof TABLES)[number];

/** How many named databases LMDB is opened for; more than there are, to have room for later formats. */
const MAX_TABLES = 32;
const MAX_READERS = 512;
/** More than LMDB needs for its readers, of 64 bytes each. */
const LOCK_FILE_SIZE = 40_960;
/** The longest key that LMDB takes (DEFAULT_MAX_KEY_SIZE of the package), in bytes. */
const TEXT_MAX = 1978;

/** The counters in `meta`; each holds the next number to give out. */
export type Counter = 'nextIno' | 'nextTemplate' | 'nextEnv' | 'nextPatch';
/** The first number that each counter gives out. */
export const FIRST: Readonly<Record<Counter, number>> = {
  nextIno: 2,
  nextTemplate: 1,
  nextEnv: 1,
  nextPatch: 1,
};

/** All tables of a root, with transactions over them and the counters and settings in `meta`. */
export class Tables {
  private readonly env: RootDatabase<Buffer, Buffer>;
  private readonly dir: string;
  private readonly opened: Readonly<Record<TableName, Table | undefined>>;

  /**
   * Opens all tables at once. Opening one later would end the reads that are under way, and crash the process.
   * @param sums false in a root whose rows have no sums yet
   */
  constructor(env: RootDatabase<Buffer, Buffer>, dir: string, sums: boolean) {
    this.env = env;
    this.dir = dir;
    const options = { keyEncoding: 'binary', encoding: 'binary' } as const;
    const open = (name: TableName): Table | undefined => {
      const damaged = (key: Buffer, why: string): Error => damagedRow(this, name, key, why);
      const rows = env.openDB<Buffer, Buffer>(name, options) as
        | Database<Buffer, Buffer>
        | undefined;
      return rows && new Table(rows, { sums, damaged });
    };
    this.opened = Object.fromEntries(
      TABLES.map((name) => [name, open(name)]),
    ) as typeof this.opened;
  }

  table(name: TableName): Table {
    return this.find(name)!;
  }

  /**
   * Returns the table, or undefined where the root lacks it. Only readers meet that: a writer creates missing
   * tables.
   */
  find(name: TableName): Table | undefined {
    return this.opened[name];
  }

  /**
   * Runs `action` as one transaction. Either all of it is on disk when this returns, or it threw and nothing
   * has changed.
   * @throws ByrefError 'noSpace' on a full device; else whatever `action` throws
   */
  transaction<T>(action: () => T): T {
    try {
      const result = guardWrite(() => this.env.transactionSync(action));
      noteCommit(this.dir);
      return result;
    } catch (cause) {
      throw this.asNoSpace(cause) ?? cause;
    }
  }

  /** Runs `action` in a transaction and then undoes it. Inside, it reads its own writes; nothing else remains. */
  attempt(action: () => void): void {
    this.env.transactionSync(() => {
      action();
      return ABORT;
    });
  }

  /** Returns the error to report for a full device; null for any other cause. */
  private asNoSpace(cause: unknown): ByrefError | null {
    if (!isNoSpaceFor(this.dir, cause)) return null;
    const message = `no space left on the device of ${this.dir}; nothing was changed`;
    return new ByrefError('noSpace', message, 'Free some space, then run this again.', { cause });
  }

  /** Returns the row of a text, which people may have given; undefined for one that is too long to be a key, or empty. */
  byText(name: 'envNames' | 'templateNames', text: string): Buffer | undefined {
    const key = textKey(text);
    return key.length === 0 || key.length > TEXT_MAX ? undefined : this.table(name).get(key);
  }

  /** Returns a number kept in `meta`, or null if it is not set. */
  number(name: string): number | null {
    const value = this.table('meta').get(textKey(name));
    return value === undefined ? null : decodeNumber(value);
  }

  setNumber(name: string, value: number): void {
    this.table('meta').putSync(textKey(name), encodeNumber(value));
  }

  /** Takes the next `count` numbers of a counter and returns the first. Call it inside a transaction. */
  take(counter: Counter, count = 1): number {
    const next = this.number(counter) ?? FIRST[counter];
    this.setNumber(counter, next + count);
    return next;
  }

  /** Makes later reads see all that was committed before this call; without it they may be a moment old. */
  refresh(): void {
    this.env.resetReadTxn();
  }

  close(): Promise<void> {
    return closeTables(this.env);
  }
}

/**
 * Opens the environment in `dir`. Readers see each commit from their next turn of the event loop on.
 * @param options create: make the tables if there are none
 * @throws ByrefError 'corrupt' if the tables are damaged or missing: nothing of them was opened
 */
export function openTables(
  dir: string,
  { write, create = false }: { write: boolean; create?: boolean },
): Tables {
  const size = statSync(path.join(dir, 'data.mdb'), { throwIfNoEntry: false })?.size ?? 0;
  const damage = create && size === 0 ? null : tableDamage(dir);
  if (damage !== null) throw damagedStore(dir, damage);
  // Pages that go bad under a process can't be told by an error.
  native.tellDeaths('byref: ', DEATH_HINT, EXIT.corrupt);
  const settings = {
    path: dir,
    readOnly: !write,
    keyEncoding: 'binary',
    encoding: 'binary',
    maxDbs: MAX_TABLES,
    maxReaders: MAX_READERS,
    // A transaction that returned is on disk; with overlapping syncs it might not be yet.
    overlappingSync: false,
  } as const;
  return new Tables(
    openTablesIn(dir, LOCK_FILE_SIZE, () => open<Buffer, Buffer>(settings)),
    dir,
    hasSums(dir),
  );
}

const RESTORE_HINT =
  'Restore it from the copy that byref keeps of it: byref fsck --restore-store; or from a backup.';
const DEATH_HINT = '\n  hint: See byref fsck.\n';

function damagedStore(dir: string, why: string): ByrefError {
  const file = path.join(dir, 'data.mdb');
  return new ByrefError('corrupt', `the store in ${file} is damaged: ${why}`, RESTORE_HINT);
}
