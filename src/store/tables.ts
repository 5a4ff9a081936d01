/** The store's LMDB environment: one named database per table. */
import { statfsSync } from 'node:fs';
import { ABORT, type Database, open, type RootDatabase } from 'lmdb';
import { EIO, ENOSPC } from '../base/errno.ts';
import { ByrefError } from '../base/error.ts';
import { decodeNumber, encodeNumber } from '../codec/store-rows.ts';
import { textKey } from './keys.ts';

export type Table = Database<Buffer, Buffer>;

/** Every table of a root, by name. */
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
] as const;
export type TableName = (typeof TABLES)[number];

/** Room for the tables of later formats. */
const MAX_TABLES = 32;
const MAX_READERS = 512;
/** A device with less than this free is full. */
const FULL_BYTES = 2 ** 20;

/** Numbers kept in `meta`: counters name the next one to give out. */
export type Counter = 'nextIno' | 'nextTemplate' | 'nextEnv' | 'nextPatch';
/** What each counter begins with. */
export const FIRST: Readonly<Record<Counter, number>> = {
  nextIno: 2,
  nextTemplate: 1,
  nextEnv: 1,
  nextPatch: 1,
};

export class Tables {
  private readonly env: RootDatabase<Buffer, Buffer>;
  private readonly dir: string;
  private readonly opened: Readonly<Record<TableName, Table | undefined>>;

  /** Opens all tables: to open one later ends the reads that are going on, and the process with them. */
  constructor(env: RootDatabase<Buffer, Buffer>, dir: string) {
    this.env = env;
    this.dir = dir;
    const options = { keyEncoding: 'binary', encoding: 'binary' } as const;
    const open = (name: TableName): Table => env.openDB<Buffer, Buffer>(name, options);
    this.opened = Object.fromEntries(
      TABLES.map((name) => [name, open(name)]),
    ) as typeof this.opened;
  }

  table(name: TableName): Table {
    return this.find(name)!;
  }

  /** The table; undefined where the root lacks it, which only a reader meets: a writer has made it. */
  find(name: TableName): Table | undefined {
    return this.opened[name];
  }

  /**
   * Runs `action` as one transaction: all of it is on disk when this returns, or (it threw) nothing
   * happened.
   */
  transaction<T>(action: () => T): T {
    try {
      return this.env.transactionSync(action);
    } catch (cause) {
      throw this.asNoSpace(cause) ?? cause;
    }
  }

  /** Runs `action` in a transaction that is then undone: what it read of its own writes is all that remains. */
  attempt(action: () => void): void {
    this.env.transactionSync(() => {
      action();
      return ABORT;
    });
  }

  /** LMDB says ENOSPC, or, when only a part of a write fitted, EIO. Null if it is something else. */
  private asNoSpace(cause: unknown): ByrefError | null {
    const { code } = cause as { code?: unknown };
    const { bavail, bsize } = statfsSync(this.dir);
    if (code !== ENOSPC && !(code === EIO && bavail * bsize < FULL_BYTES)) return null;
    const message = `no space left on the device of ${this.dir}; nothing was changed`;
    return new ByrefError('noSpace', message, 'Free some space, then run this again.', { cause });
  }

  number(name: string): number | null {
    const value = this.table('meta').get(textKey(name));
    return value === undefined ? null : decodeNumber(value);
  }

  setNumber(name: string, value: number): void {
    this.table('meta').putSync(textKey(name), encodeNumber(value));
  }

  /** Takes the next number of a counter; inside a transaction. */
  take(counter: Counter, count = 1): number {
    const next = this.number(counter) ?? FIRST[counter];
    this.setNumber(counter, next + count);
    return next;
  }

  /** From now on reads see all that was committed before this call; else they may be a moment old. */
  refresh(): void {
    this.env.resetReadTxn();
  }

  close(): Promise<void> {
    return this.env.close();
  }
}

/** Opens the environment in `dir`; readers see each commit from their next event-loop turn on. */
export function openTables(dir: string, options: { write: boolean }): Tables {
  const env = open<Buffer, Buffer>({
    path: dir,
    readOnly: !options.write,
    keyEncoding: 'binary',
    encoding: 'binary',
    maxDbs: MAX_TABLES,
    maxReaders: MAX_READERS,
    // A transaction that returned is on disk; with overlapping syncs it might not be yet.
    overlappingSync: false,
  });
  return new Tables(env, dir);
}
