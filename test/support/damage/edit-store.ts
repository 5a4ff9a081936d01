/** Writes rows of a root's tables as they should not be. */
import { type Ino, type Name, nameFromText, ROOT_INO } from '../../../src/base/ids.ts';
import { isDir } from '../../../src/base/mode.ts';
import { nameCookie } from '../../../src/base/name-hash.ts';
import { decodeHistory, encodeHistory, type LinkChange } from '../../../src/codec/link-history.ts';
import { linkKey } from '../../../src/store/keys.ts';
import { metaDir } from '../../../src/store/root.ts';
import { openTables, type TableName, type Tables } from '../../../src/store/tables.ts';

/** The templates of the healthy root. */
export const OS = 1;
export const APP = 2;
/** The app that was installed on version 2 of the system; and what is composed of it and version 3. */
export const BASED = 4;
export const COMPOSED = 5;

/** What byref never wrote. */
export const JUNK = Buffer.from('99aabbccddeeff00112233445566778899aabbccddeeff00', 'hex');

export async function edit(root: string, change: (tables: Tables) => void): Promise<void> {
  const tables = openTables(metaDir(root), { write: true });
  tables.transaction(() => change(tables));
  await tables.close();
}

/** Puts one row. */
export const put =
  (table: TableName, key: Buffer, value: Buffer) =>
  (root: string): Promise<void> =>
    edit(root, (tables) => tables.table(table).putSync(key, value));

/** Numbers that the last import took and gave to nothing: n is 1 for the last one. */
export const unused = (tables: Tables, n: number): Ino => (tables.number('nextIno')! - n) as Ino;

/** One name of a template. */
export interface LinkAt {
  readonly dir: Ino;
  readonly name: Name;
  readonly key: Buffer;
  readonly changes: LinkChange[];
  readonly ino: Ino;
}

/** The row of a path as "usr/bin/tool1"; its ino is that of its newest record. */
export function linkAt(tables: Tables, template: number, where: string): LinkAt {
  let dir: Ino = ROOT_INO;
  let at: LinkAt | null = null;
  for (const part of where.split('/')) {
    const name = nameFromText(part);
    const key = linkKey(template, dir, nameCookie(name), name);
    const value = tables.table('links').get(key);
    if (value === undefined) throw new Error(`${where}: no row of ${part}`);
    const changes = decodeHistory(value);
    const { record } = changes.find((change) => change.record !== null)!;
    at = { dir, name, key, changes, ino: record!.ino };
    const below = changes.find((change) => change.record !== null && isDir(change.record.mode));
    dir = below?.record?.ino ?? dir;
  }
  return at!;
}

/** Changes the history of a path. */
export const editLink = (
  root: string,
  template: number,
  where: string,
  change: (changes: LinkChange[]) => LinkChange[],
): Promise<void> =>
  edit(root, (tables) => {
    const { key, changes } = linkAt(tables, template, where);
    tables.table('links').putSync(key, encodeHistory(change(changes)));
  });

/** The newest record of a path, with other fields. */
export const editRecord = (
  root: string,
  template: number,
  where: string,
  fields: Partial<NonNullable<LinkChange['record']>>,
): Promise<void> =>
  editLink(root, template, where, ([first, ...rest]) => [
    { version: first!.version, record: { ...first!.record!, ...fields } },
    ...rest,
  ]);
