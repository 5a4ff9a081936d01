/** Reads tables whose rows may be anything: one that does not decode is passed over, and said. */
import type { Table, TableName, Tables } from '../../../store/tables.ts';

export interface Row<T> {
  readonly key: Buffer;
  readonly value: T;
}

/** A row that does not decode. */
export interface BadRow {
  readonly key: Buffer;
  readonly why: string;
}

/** Bytes of a table's keys: exactly so many, or at least so many before a name. */
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
};

/** True if a key can be one of this table. What has another one is `checkKeys`' finding, and nobody else's. */
export function isKey(name: TableName, key: Buffer): boolean {
  const { exact = key.length, least = 0 } = KEY_BYTES[name];
  return key.length === exact && key.length >= least;
}

/** Null where the root lacks the table: a damaged one, or one of an older format. */
export const tableOf = (tables: Tables, name: TableName): Table | null => tables.find(name) ?? null;

export interface Range {
  readonly start?: Buffer;
  readonly end?: Buffer;
}

/** All rows of a range. @param decode throws for a row that it can't read */
export function* eachRow<T>(
  tables: Tables,
  name: TableName,
  decode: (value: Buffer, key: Buffer) => T,
  onBad: (row: BadRow) => void = () => undefined,
  range: Range = {},
): Generator<Row<T>> {
  for (const { key, value } of tableOf(tables, name)?.getRange(range) ?? []) {
    if (!isKey(name, key)) continue;
    let decoded: T;
    try {
      decoded = decode(value, key);
    } catch (error) {
      onBad({ key, why: (error as Error).message });
      continue;
    }
    yield { key, value: decoded };
  }
}

/** One row; undefined if there is none, null if it does not decode. */
export function readRow<T>(
  tables: Tables,
  name: TableName,
  key: Buffer,
  decode: (value: Buffer) => T,
): T | undefined | null {
  const value = tableOf(tables, name)?.get(key);
  if (value === undefined) return undefined;
  try {
    return decode(value);
  } catch {
    return null;
  }
}

export const hasRow = (tables: Tables, name: TableName, key: Buffer): boolean =>
  tableOf(tables, name)?.doesExist(key) ?? false;

/** The value, which must have this many bytes. @throws RangeError */
export const exactLength = (value: Buffer, length: number): Buffer => {
  if (value.length === length) return value;
  throw new RangeError(`${value.length} bytes, not ${length}`);
};
