/**
 * Which names a version changed: a row per name in `changes`, so that to go from one version to another costs what
 * differs between them. The first version of a template has no such rows: all its names would be there.
 */
import type { Ino, Name } from '../base/ids.ts';
import { nameCookie } from '../base/name-hash.ts';
import { changeDir, changeKey, changeName, linkDir, linkKey, linkName } from './keys.ts';
import { ABOVE_ROOT } from './link-rows.ts';
import type { Tables } from './tables.ts';

/** A name below a directory; the root itself has none, and is in directory 0. */
export interface ChangedName {
  readonly dir: Ino | typeof ABOVE_ROOT;
  readonly name: Name | '';
}

const PRESENT = Buffer.of(1);
const FIRST_VERSION = 1;

/** Notes that the version has another record of the name than the one before; inside a transaction. */
export function noteChange(
  tables: Tables,
  template: number,
  version: number,
  { dir, name }: ChangedName,
): void {
  if (version === FIRST_VERSION) return;
  tables.table('changes').putSync(changeKey(template, version, dir, name), PRESENT);
}

/** Takes all rows of a template; inside a transaction. */
export function forgetChanges(tables: Tables, template: number): void {
  const table = tables.table('changes');
  const start = changeKey(template, 0, ABOVE_ROOT, '');
  const end = changeKey(template + 1, 0, ABOVE_ROOT, '');
  for (const key of [...table.getKeys({ start, end })]) table.removeSync(key);
}

/** The names that versions above `after` and up to `upTo` changed; one may come more than once. */
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

/** Every name that the template has in any version. */
export function* allNames(tables: Tables, template: number): Generator<ChangedName> {
  const start = linkKey(template, ABOVE_ROOT, 0, '');
  const end = linkKey(template + 1, ABOVE_ROOT, 0, '');
  for (const key of tables.table('links').getKeys({ start, end })) {
    yield { dir: linkDir(key), name: linkName(key) };
  }
}

/** The key of the name's row in `links`. */
export function linkKeyOf(template: number, { dir, name }: ChangedName): Buffer {
  return linkKey(template, dir, name === '' ? 0 : nameCookie(name), name);
}
