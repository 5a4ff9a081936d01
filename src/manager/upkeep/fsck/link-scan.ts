/** Reads `links` rows that may be damaged, in the order of their keys: by template, then by directory. */
import { type Ino, NAME_MAX, type Name } from '../../../base/ids.ts';
import { isDir } from '../../../base/mode.ts';
import { nameCookie } from '../../../base/name-hash.ts';
import { decodeHistory, type LinkChange } from '../../../codec/link-history.ts';
import { linkCookie, linkDir, linkKey, linkName } from '../../../store/keys.ts';
import { ABOVE_ROOT } from '../../../store/link-rows.ts';
import type { Tables } from '../../../store/tables.ts';
import { type BadRow, eachRow, readRow } from './rows.ts';

/** A row of `links`: one name of a template, with its history. */
export interface LinkRow {
  readonly template: number;
  readonly dir: Ino | typeof ABOVE_ROOT;
  /** '' for the template's root directory. */
  readonly name: Name | '';
  readonly cookie: number;
  /** Newest first. */
  readonly changes: readonly LinkChange[];
}

/** Yields the rows of all templates, or of one. */
export function* eachLink(
  tables: Tables,
  onBad?: (row: BadRow) => void,
  template?: number,
): Generator<LinkRow> {
  const range =
    template === undefined
      ? {}
      : { start: linkKey(template, ABOVE_ROOT, 0, ''), end: linkKey(template + 1, 0, 0, '') };
  for (const { value } of eachRow(tables, 'links', decodeLink, onBad, range)) yield value;
}

/** Decodes a row. @throws RangeError, Error for a row that byref did not write */
export function decodeLink(value: Buffer, key: Buffer): LinkRow {
  const dir = linkDir(key);
  const name = linkName(key) as Name | '';
  if ((name === '') !== (dir === ABOVE_ROOT) || !isName(name))
    throw new RangeError('it has no name');
  const changes = decodeHistory(value);
  if (changes.length === 0) throw new RangeError('it holds no record');
  return { template: key.readUInt32BE(0), dir, name, cookie: linkCookie(key), changes };
}

/** Returns true for a valid name in a directory, and for '', which is the root's. */
export const isName = (name: string): boolean =>
  name.length <= NAME_MAX && name !== '.' && name !== '..' && !/[/\0]/.test(name);

/** Returns the cookie that a name's key must have; 0 for the root's. */
export const cookieOf = (name: Name | ''): number => (name === '' ? 0 : nameCookie(name));

/** Returns the history of one name; undefined if it has no row, null if the row can't be read. */
export function readHistory(
  tables: Tables,
  template: number,
  dir: Ino | 0,
  name: Name | '',
): LinkChange[] | undefined | null {
  return readRow(tables, 'links', linkKey(template, dir, cookieOf(name), name), decodeHistory);
}

/** Returns the ino of a record that is a directory; null for anything else. */
export const dirIno = ({ record }: LinkChange): Ino | null =>
  record !== null && isDir(record.mode) ? record.ino : null;
