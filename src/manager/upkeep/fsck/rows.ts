/** Reads tables whose rows may be damaged: a row that can't be decoded is skipped and reported. */
import { reasonOf } from '../../../base/damaged.ts';
import type { KeyRange, Table, TableRow, UncheckedRow } from '../../../store/table.ts';
import type { TableName, Tables } from '../../../store/tables.ts';

/** A row that was decoded. */
export interface Row<T> {
  readonly key: Buffer;
  readonly value: T;
}

/** A row that can't be decoded. */
export interface BadRow {
  readonly key: Buffer;
  readonly why: string;
}

/** The length of a table's keys in bytes: exactly this many, or at least this many before a name. */
export const KEY_BYTES: Readonly<
  Record<TableName, { readonly exact?: number; readonly least?: number }>
> = {
  meta: {},
  templates: { exact: 4 },
  templateNames: {},
  versions: { exact: 8 },
  links: { least: 20 },
  changes: { least: 16 },
  templateDirs: { exact: 12 },
  inodes: { exact: 8 },
  dirs: { least: 8 },
  dirNames: { exact: 8 },
  objects: { exact: 32 },
  envs: { exact: 4 },
  envNames: {},
  patches: { exact: 4 },
  patchEnvs: { exact: 4 },
  accounts: { least: 3 },
  settings: { exact: 4 },
  identities: { exact: 8 },
};

/** Returns true for a possible key of this table. Other keys are reported only by `checkKeys`. */
export function isKey(name: TableName, key: Buffer): boolean {
  const { exact = key.length, least = 0 } = KEY_BYTES[name];
  return key.length === exact && key.length >= least;
}

/** Returns a table; null if the root lacks it, because it is damaged or of an older format. */
export const tableOf = (tables: Tables, name: TableName): Table | null => tables.find(name) ?? null;

/** Yields the rows of a range. @param decode throws for a row that it can't read */
export function* eachRow<T>(
  tables: Tables,
  name: TableName,
  decode: (value: Buffer, key: Buffer) => T,
  onBad: (row: BadRow) => void = () => undefined,
  range: KeyRange = {},
): Generator<Row<T>> {
  for (const row of tableOf(tables, name)?.getUnchecked(range) ?? []) {
    let key: Buffer = row.key;
    if (!isKey(name, key)) continue;
    let decoded: T;
    try {
      const { key: right, value } = asWritten(row);
      key = right;
      decoded = decode(value, key);
    } catch (error) {
      onBad({ key, why: reasonOf(error) });
      continue;
    }
    yield { key, value: decoded };
  }
}

/** Returns a row as it was written: also one of which checkRowSums() finds that a single bit is wrong. @throws Damaged */
function asWritten(row: UncheckedRow): TableRow {
  try {
    return { key: row.key, value: row.read() };
  } catch (error) {
    const mended = row.mended();
    if (mended === null) throw error;
    return mended;
  }
}

/** Returns one row; undefined if there is none, null if it can't be decoded. */
export function readRow<T>(
  tables: Tables,
  name: TableName,
  key: Buffer,
  decode: (value: Buffer) => T,
): T | undefined | null {
  try {
    const row = tableOf(tables, name)?.findUnchecked(key);
    return row ? decode(asWritten(row).value) : undefined;
  } catch {
    return null;
  }
}

/** Returns true if the table has the key, whatever its row says. */
export const hasRow = (tables: Tables, name: TableName, key: Buffer): boolean =>
  readRow(tables, name, key, () => true) !== undefined;

/** Yields the keys of a table, whatever their rows say. */
export function* eachKey(tables: Tables, name: TableName, range: KeyRange = {}): Generator<Buffer> {
  for (const { key } of tableOf(tables, name)?.getUnchecked(range) ?? []) yield key;
}

/** Returns the value if it has this many bytes. @throws RangeError */
export const exactLength = (value: Buffer, length: number): Buffer => {
  if (value.length === length) return value;
  throw new RangeError(`${value.length} bytes, not ${length}`);
};
