/**
 * The index of changes: which names each version of a template changed, one row per name in `changes`. Because
 * of it, going from one version to another costs what differs between them. A template's first version has no
 * such rows: all of its names would be in them.
 */
import type { Ino, Name } from '../base/ids.ts';
import { nameCookie } from '../base/name-hash.ts';
import { changeDir, changeKey, changeName, linkDir, linkKey, linkName } from './keys.ts';
import { ABOVE_ROOT } from './link-rows.ts';
import type { Tables } from './tables.ts';

/** A name in a directory. The root itself is '' in directory 0. */
export interface ChangedName {
  readonly dir: Ino | typeof ABOVE_ROOT;
  readonly name: Name | '';
}

const PRESENT = Buffer.of(1);
/** The number of a template's first version, of which no changes are kept: they would be every name. */
export const FIRST_VERSION = 1;

/**
 * Notes that the version has another record for the name than the version before it. Call it inside a
 * transaction.
 */
export function noteChange(
  tables: Tables,
  template: number,
  version: number,
  { dir, name }: ChangedName,
): void {
  if (version === FIRST_VERSION) return;
  tables.table('changes').putSync(changeKey(template, version, dir, name), PRESENT);
}

/** Removes all rows of a template. Call it inside a transaction. */
export function forgetChanges(tables: Tables, template: number): void {
  const table = tables.table('changes');
  const start = changeKey(template, 0, ABOVE_ROOT, '');
  const end = changeKey(template + 1, 0, ABOVE_ROOT, '');
  for (const key of [...table.getKeys({ start, end })]) table.removeSync(key);
}

/**
 * Yields the names that versions above `after`, up to and including `upTo`, changed. A name may come more than
 * once.
 */
export function* changedNames(
  tables: Tables,
  template: number,
  after: number,
  upTo: number,
): Generator<ChangedName> {
  const start = changeKey(template, after + 1, ABOVE_ROOT, '');
  const end = changeKey(template, upTo + 1, ABOVE_ROOT, '');
  for (const key of tables.table('changes').getKeys({ start, end })) {
    yield { dir: changeDir(key), name: changeName(key) };
  }
}

/** Yields every name that the template has in any version. */
export function* allNames(tables: Tables, template: number): Generator<ChangedName> {
  const start = linkKey(template, ABOVE_ROOT, 0, '');
  const end = linkKey(template + 1, ABOVE_ROOT, 0, '');
  for (const key of tables.table('links').getKeys({ start, end })) {
    yield { dir: linkDir(key), name: linkName(key) };
  }
}

/** Returns the key of the name's row in `links`. */
export function linkKeyOf(template: number, { dir, name }: ChangedName): Buffer {
  return linkKey(template, dir, name === '' ? 0 : nameCookie(name), name);
}
