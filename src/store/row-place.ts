/** Says of a row of the store, for people, what it is of: a template, a path, an env; and what can be done if it is damaged. */
import { Damaged } from '../base/damaged.ts';
import { type Ino, type Name, nameToText, ROOT_INO } from '../base/ids.ts';
import { dirPath } from './dir-path.ts';
import { changeDir, changeName, linkDir, linkName, templateDirIno } from './keys.ts';
import type { TableName, Tables } from './tables.ts';

const NAME_OF_DIR_AT = 8;

const dirKeyName = (key: Buffer): Name | '' => key.toString('latin1', NAME_OF_DIR_AT) as Name | '';
const idAt = (key: Buffer, at = 0): number => key.readUInt32BE(at);
const inoIn = (key: Buffer): number => Number(key.readBigUInt64BE(0));

type Describe = (tables: Tables, key: Buffer) => string;

const PLACES: Readonly<Record<TableName, Describe>> = {
  meta: (_, key) => `the number ${key.toString('utf8')}`,
  templates: (tables, key) => template(tables, idAt(key)),
  templateNames: (_, key) => `the name of template ${key.toString('utf8')}`,
  versions: (tables, key) => version(tables, key),
  links: (tables, key) =>
    `${pathOf(tables, linkDir(key), linkName(key))} in ${template(tables, idAt(key))}`,
  changes: (tables, key) =>
    `the change of ${pathOf(tables, changeDir(key), changeName(key))} in ${version(tables, key)}`,
  templateDirs: (tables, key) =>
    `directory ${pathOf(tables, templateDirIno(key), '')} of ${template(tables, idAt(key))}`,
  inodes: (_, key) => `the names of file ${inoIn(key)}`,
  dirs: (tables, key) => `directory ${pathOf(tables, inoIn(key) as Ino | 0, dirKeyName(key))}`,
  dirNames: (_, key) => `the path of directory ${inoIn(key)}`,
  objects: (_, key) => `object ${key.toString('hex')}`,
  envs: (tables, key) => env(tables, key),
  envNames: (_, key) => `the name of env ${key.toString('utf8')}`,
  patches: (_, key) => `patch ${idAt(key)}`,
  patchEnvs: (_, key) => `the envs of patch ${idAt(key)}`,
  accounts: (_, key) => `the number of account ${key.toString('utf8')}`,
  settings: (tables, key) => `the settings of ${env(tables, key)}`,
  identities: (tables, key) => `the identity of ${version(tables, key)}`,
};

/** Tables that follow from others. */
const REPAIRABLE: ReadonlySet<TableName> = new Set<TableName>([
  ...(['meta', 'templateNames', 'changes', 'templateDirs'] as const),
  ...(['inodes', 'dirs', 'dirNames', 'objects', 'envNames', 'identities'] as const),
]);
const REPAIR_HINT =
  'Repair it with byref fsck --repair, which makes it anew from what else is known.';
const RESTORE_HINT =
  'See byref fsck, which names all that is damaged; byref fsck --restore-store puts the copy back that byref keeps of the store.';

/** Returns what a row is of, as "/usr/lib/x in template debian"; its key if that can't be told. */
export function rowPlace(tables: Tables, name: TableName, key: Buffer): string {
  try {
    return PLACES[name](tables, key);
  } catch {
    return `key ${key.toString('hex', 0, 40)}`;
  }
}

/** Makes the error for a row that is not as it was written. */
export function damagedRow(tables: Tables, name: TableName, key: Buffer, why: string): Damaged {
  const message = `the store is damaged at ${rowPlace(tables, name, key)} (table ${name}): ${why}`;
  return new Damaged(why, { message, hint: REPAIRABLE.has(name) ? REPAIR_HINT : RESTORE_HINT });
}

function version(tables: Tables, key: Buffer): string {
  return `${template(tables, idAt(key))}@${idAt(key, 4)}`;
}

const template = (tables: Tables, id: number): string =>
  `template ${nameIn(tables, 'templateNames', id) ?? `number ${id}`}`;

const env = (tables: Tables, key: Buffer): string =>
  `env ${nameIn(tables, 'envNames', idAt(key)) ?? `number ${idAt(key)}`}`;

/** Finds a name in an index: the row that has it may be what is damaged. */
function nameIn(tables: Tables, index: 'templateNames' | 'envNames', id: number): string | null {
  for (const { key, read } of tables.table(index).getUnchecked()) {
    try {
      if (read().readUInt32BE(0) === id) return key.toString('utf8');
    } catch {
      // It is damaged, too.
    }
  }
  return null;
}

function pathOf(tables: Tables, dir: Ino | 0, name: Name | ''): string {
  if (dir === 0) return '/';
  const above = dir === ROOT_INO ? '' : knownPath(tables, dir);
  return name === '' ? above || '/' : `${above}/${nameToText(name)}`;
}

function knownPath(tables: Tables, dir: Ino): string {
  try {
    return dirPath(tables, dir) ?? `<directory ${dir}>`;
  } catch {
    return `<directory ${dir}>`;
  }
}
