/** Changes rows of a root's tables as they stand on disk, with their sums. */
import { type Database, open } from 'lmdb';
import { metaDir } from '../../../src/store/root.ts';
import { TABLES, type TableName } from '../../../src/store/tables.ts';

type RawTable = Database<Buffer, Buffer>;

const BINARY = { keyEncoding: 'binary', encoding: 'binary' } as const;

/** A row, with what the store adds to its value. */
export interface RawRow {
  readonly table: TableName;
  readonly key: Buffer;
  readonly value: Buffer;
}

async function withRaw<T>(
  root: string,
  work: (table: (name: TableName) => RawTable) => T,
): Promise<T> {
  const env = open<Buffer, Buffer>({ path: metaDir(root), maxDbs: 32, ...BINARY });
  try {
    const tables = new Map(TABLES.map((name) => [name, env.openDB<Buffer, Buffer>(name, BINARY)]));
    return env.transactionSync(() => work((name) => tables.get(name)!));
  } finally {
    await env.close();
  }
}

/** Returns all rows of all tables. */
export const rawRows = (root: string): Promise<RawRow[]> =>
  withRaw(root, (table) =>
    TABLES.flatMap((name) => [...table(name).getRange()].map((row) => ({ table: name, ...row }))),
  );

/** Puts other bytes in the place of a row. */
export const replaceRaw = (root: string, was: RawRow, key: Buffer, value: Buffer): Promise<void> =>
  withRaw(root, (table) => {
    table(was.table).removeSync(was.key);
    table(was.table).putSync(key, value);
  });

/** Changes bits of a row of a table; bit 0 is the lowest one of the key's first byte, and the value's follow the key's. */
export async function flipBits(
  root: string,
  table: TableName,
  key: Buffer,
  ...bits: readonly number[]
): Promise<void> {
  const row = (await rawRows(root)).find((each) => each.table === table && each.key.equals(key));
  if (row === undefined) throw new Error(`no row ${key.toString('hex')} in ${table}`);
  const flipped = flip(row, bits);
  await replaceRaw(root, row, flipped.key, flipped.value);
}

/** Returns key and value with other bits. */
export function flip({ key, value }: Pick<RawRow, 'key' | 'value'>, bits: readonly number[]) {
  const bytes = Buffer.concat([key, value]);
  for (const bit of bits) bytes[bit >> 3]! ^= 1 << (bit & 7);
  return { key: bytes.subarray(0, key.length), value: bytes.subarray(key.length) };
}
