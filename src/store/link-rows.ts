/** Reads `links` rows as of a version, one name or one directory at a time. */
import type { Ino, Name } from '../base/ids.ts';
import { COOKIE_START, nameCookie } from '../base/name-hash.ts';
import type { InodeRecord } from '../codec/inode-record.ts';
import { decodeHistory, linkAsOf } from '../codec/link-history.ts';
import type { LowerEntry } from '../driver/core/ports.ts';
import { linkCookie, linkKey, linkName } from './keys.ts';
import type { Table } from './table.ts';
import type { Tables } from './tables.ts';

/** The directory that holds the row of a template's root: 0, which is the ino of no real directory. */
export const ABOVE_ROOT = 0;

/**
 * Returns a name's record as of a version; null where the template does not have the name.
 * @param name '' together with ABOVE_ROOT: the root itself
 */
export function readLink(
  links: Table,
  template: number,
  version: number,
  dir: Ino | 0,
  name: Name | '',
): InodeRecord | null {
  const cookie = name === '' ? COOKIE_START : nameCookie(name);
  // The bytes are decoded before the next read.
  const row = links.getFast(linkKey(template, dir, cookie, name));
  return row === undefined ? null : linkAsOf(row, version);
}

/**
 * Returns the names of `dir` whose cookie is above `after`, in cookie order. There are at most `max`, but names
 * that share a cookie are never separated. Fewer than `max` means that the directory has no more.
 */
export function scanLinks(
  links: Table,
  template: number,
  version: number,
  dir: Ino,
  after: number,
  max: number,
): LowerEntry[] {
  const entries: LowerEntry[] = [];
  const start = linkKey(template, dir, after + 1, '');
  const end = linkKey(template, (dir + 1) as Ino, 0, '');
  for (const { key, value } of links.getRange({ start, end })) {
    const cookie = linkCookie(key);
    if (entries.length >= max && entries.at(-1)?.cookie !== cookie) break;
    const record = linkAsOf(value, version);
    if (record !== null) entries.push({ name: linkName(key), cookie, record });
  }
  return entries;
}

/** Yields the records of all names in all versions of a template. */
export function* recordsOf(tables: Tables, template: number): Generator<InodeRecord> {
  const start = linkKey(template, ABOVE_ROOT, 0, '');
  const end = linkKey(template + 1, ABOVE_ROOT, 0, '');
  for (const { value } of tables.table('links').getRange({ start, end })) {
    for (const { record } of decodeHistory(value)) if (record !== null) yield record;
  }
}
