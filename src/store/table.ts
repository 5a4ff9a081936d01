/**
 * One table of the store. Its rows carry sums (codec/row-sum.ts), which are checked whenever a row is read, and are seen by
 * nobody else: keys and values here are as keys.ts and the codecs write them.
 */
import type { Database, RangeOptions } from 'lmdb';
import { Damaged } from '../base/damaged.ts';
import { addSum, matchesSum, mendBit, SUM_SIZE, WRONG_SUM } from '../codec/row-sum.ts';

/**
 * What a row with a sum begins with. Rows without one, which an older byref wrote, begin with the version of their value, or with an
 * id: with 0 to 3. No single bit makes one of the other.
 */
const WITH_SUM = 0xfc;
const WITHOUT_SUM_MAX = 3;
/** A row's first byte. */
const MARK_SIZE = 1;

/** A range of keys; `end` is not included. */
export type KeyRange = Pick<RangeOptions, 'limit' | 'reverse'> & {
  readonly start?: Buffer;
  readonly end?: Buffer;
};

/** A row that was read. */
export interface TableRow {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** A row that may be damaged. */
export interface UncheckedRow {
  readonly key: Buffer;
  /** Returns the value. @throws Damaged if it is not as it was written */
  readonly read: () => Buffer;
  /** Returns it as it was written, if a single bit of it became another one; else null. */
  readonly mended: () => TableRow | null;
}

/** How a table's rows are written, and what is said of those that are damaged. */
export interface TableOptions {
  /** False in a root of a format without sums. Rows of both kinds are read in any root. */
  readonly sums: boolean;
  /** Makes the error for a row that is damaged. */
  readonly damaged: (key: Buffer, why: string) => Error;
}

/** The rows of one table. */
export class Table {
  private readonly rows: Database<Buffer, Buffer>;
  private readonly options: TableOptions;

  constructor(rows: Database<Buffer, Buffer>, options: TableOptions) {
    this.rows = rows;
    this.options = options;
  }

  /** Returns a row's value. @throws ByrefError 'corrupt' if the row is damaged, as all that read rows do */
  get(key: Buffer): Buffer | undefined {
    const row = this.rows.get(key);
    return row === undefined ? undefined : this.checked(key, row);
  }

  /** Does as get(), with bytes that are LMDB's: to be decoded before the next read. */
  getFast(key: Buffer): Buffer | undefined {
    const row = this.rows.getBinaryFast(key);
    // LMDB says by `length` how much of its buffer is the row.
    return row === undefined ? undefined : this.checked(key, row);
  }

  has(key: Buffer): boolean {
    return this.getFast(key) !== undefined;
  }

  /** Yields the rows of a range. */
  getRange(range: KeyRange = {}): IterableIterator<TableRow> {
    const rows = this.rows.getRange(range)[Symbol.iterator]();
    const end = (): IteratorReturnResult<undefined> => {
      rows.return?.();
      return { done: true, value: undefined };
    };
    // No generator: it would take a third of the time that a row takes.
    const next = (): IteratorResult<TableRow, undefined> => {
      const step = rows.next();
      if (step.done === true) return end();
      const { key, value } = step.value;
      if (isDamagedRow(key, value)) {
        end();
        throw this.options.damaged(key, WRONG_SUM);
      }
      return { done: false, value: { key, value: contentOf(value) } };
    };
    const iterator: IterableIterator<TableRow> = {
      next,
      return: end,
      [Symbol.iterator]: () => iterator,
    };
    return iterator;
  }

  /** Yields the keys of a range, whose rows are checked all the same: a damaged key is another row's. */
  *getKeys(range: KeyRange = {}): Generator<Buffer> {
    for (const { key } of this.getRange(range)) yield key;
  }

  /** Reads all rows. @throws ByrefError 'corrupt' if one is damaged */
  checkAll(): void {
    for (const { key, value } of this.rows.getRange()) this.checked(key, value);
  }

  /** Yields the rows of a range, to be read one by one: for those who go on after one that is damaged. */
  *getUnchecked(range: KeyRange = {}): Generator<UncheckedRow> {
    for (const { key, value } of this.rows.getRange(range)) yield unchecked(key, value);
  }

  /** Returns one row, to be read by those who go on if it is damaged. */
  findUnchecked(key: Buffer): UncheckedRow | null {
    const row = this.rows.get(key);
    return row === undefined ? null : unchecked(key, row);
  }

  putSync(key: Buffer, value: Buffer): void {
    this.rows.putSync(key, this.options.sums ? withSum(key, value) : value);
  }

  /** Removes a row; returns false if there was none. */
  removeSync(key: Buffer): boolean {
    return this.rows.removeSync(key);
  }

  clearSync(): void {
    this.rows.clearSync();
  }

  dropSync(): void {
    this.rows.dropSync();
  }

  /** Returns how many rows there are. */
  get count(): number {
    return (this.rows.getStats() as { entryCount: number }).entryCount;
  }

  /** Gives a sum to each row that has none. Call it inside a transaction. */
  addSums(): void {
    for (let start: Buffer | undefined; ; ) {
      const rows = [...this.rows.getRange({ ...(start && { start }), limit: AT_ONCE })];
      for (const { key, value } of rows)
        if (isWithoutSum(value)) this.rows.putSync(key, withSum(key, value));
      const last = rows.at(-1);
      if (last === undefined || rows.length < AT_ONCE) return;
      start = last.key;
    }
  }

  private checked(key: Buffer, row: Buffer): Buffer {
    if (isDamagedRow(key, row)) throw this.options.damaged(key, WRONG_SUM);
    return contentOf(row);
  }
}

/** Returns the value in a row that was checked. */
const contentOf = (row: Buffer): Buffer =>
  row[0] === WITH_SUM ? row.subarray(MARK_SIZE, row.length - SUM_SIZE) : row;

/** How many rows addSums() reads before it writes them. */
const AT_ONCE = 4096;

const isWithoutSum = (row: Buffer): boolean => row.length > 0 && row[0]! <= WITHOUT_SUM_MAX;

function withSum(key: Buffer, value: Buffer): Buffer {
  const row = Buffer.allocUnsafe(MARK_SIZE + value.length + SUM_SIZE);
  row[0] = WITH_SUM;
  value.copy(row, MARK_SIZE);
  return addSum(key, row);
}

/** Returns true for a row that is not as it was written. */
export const isDamagedRow = (key: Buffer, row: Buffer): boolean =>
  !(row[0] === WITH_SUM && matchesSum(key, row)) && !isWithoutSum(row);

/** Returns the value in a row. @throws Damaged */
function valueIn(key: Buffer, row: Buffer): Buffer {
  if (isDamagedRow(key, row)) throw new Damaged(WRONG_SUM);
  return contentOf(row);
}

const unchecked = (key: Buffer, row: Buffer): UncheckedRow => ({
  key,
  read: () => valueIn(key, row),
  mended: () => mendedRow(key, row),
});

function mendedRow(key: Buffer, row: Buffer): TableRow | null {
  const mended = mendBit(key, row);
  return mended === null || mended.value[0] !== WITH_SUM
    ? null
    : { key: mended.key, value: valueIn(mended.key, mended.value) };
}
