/** Merges the names of one directory as an env shows them: its own names over the templates'. */
import type { Ino, Name } from '../../base/ids.ts';
import { S_IFMT } from '../../base/mode.ts';
import { nameOrdinal, ORDINAL_LAST } from '../../base/name-hash.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { DeltaEntry, LowerEntry } from './ports.ts';

/** A name that the env shows. `record` is the template's, or null where the delta names the inode. */
export interface VisibleName {
  readonly name: Name;
  readonly cookie: number;
  readonly ino: Ino;
  readonly type: number;
  readonly record: InodeRecord | null;
}

/** Stands for the ordinal of a name whose cookie no other name shares. */
export const ALONE = -1;

/**
 * Receives one name at a time, in order of cookie and ordinal; `last` if no later name has its cookie. Returns
 * false to stop.
 */
export type Visitor = (name: VisibleName, ordinal: number, last: boolean) => boolean;

/**
 * Merges two pages that are in cookie order, up to and including cookie `bound`. All names of equal cookie must be
 * in one page. Returns false if the visitor stopped it.
 */
export function mergeNames(
  own: readonly DeltaEntry[],
  rows: readonly LowerEntry[],
  bound: number,
  take: Visitor,
): boolean {
  let i = 0;
  let j = 0;
  for (;;) {
    const cookie = Math.min(own[i]?.cookie ?? Infinity, rows[j]?.cookie ?? Infinity);
    if (cookie === Infinity || cookie > bound) return true;
    const ownEnd = endOfGroup(own, i, cookie);
    const rowsEnd = endOfGroup(rows, j, cookie);
    if (ownEnd - i + rowsEnd - j === 1) {
      const name = ownEnd > i ? ofDelta(own[i]!) : ofLayers(rows[j]!);
      if (name !== null && !take(name, ALONE, true)) return false;
    } else if (!takeGroup(own.slice(i, ownEnd), rows.slice(j, rowsEnd), take)) {
      return false;
    }
    i = ownEnd;
    j = rowsEnd;
  }
}

function endOfGroup(page: readonly { readonly cookie: number }[], from: number, cookie: number) {
  let end = from;
  while (page[end]?.cookie === cookie) end++;
  return end;
}

const ofDelta = ({ name, cookie, ino, type }: DeltaEntry): VisibleName | null =>
  ino === 0 ? null : { name, cookie, ino, type, record: null };

const ofLayers = ({ name, cookie, record }: LowerEntry): VisibleName => {
  return { name, cookie, ino: record.ino, type: record.mode & S_IFMT, record };
};

/** Merges names that share a cookie: nearly always just one name that both have. */
function takeGroup(
  own: readonly DeltaEntry[],
  rows: readonly LowerEntry[],
  take: Visitor,
): boolean {
  const changed = new Set(own.map(({ name }) => name));
  const names = rows.filter(({ name }) => !changed.has(name)).map(ofLayers);
  for (const entry of own) {
    const name = ofDelta(entry);
    if (name !== null) names.push(name);
  }
  if (names.length === 1) return take(names[0]!, ALONE, true);
  return takeInOrder(names, take);
}

/**
 * Visits names that share a cookie. An ordinal follows from the name alone, so it stays the same when others come
 * and go; except where two names have the same one.
 */
function takeInOrder(names: readonly VisibleName[], take: Visitor): boolean {
  const ordered = names
    .map((entry) => ({ entry, ordinal: nameOrdinal(entry.name) }))
    .sort((a, b) => a.ordinal - b.ordinal || (a.entry.name < b.entry.name ? -1 : 1));
  let next = 0;
  return ordered.every(({ entry, ordinal }, i) => {
    const own = Math.min(Math.max(ordinal, next), ORDINAL_LAST);
    next = own + 1;
    return take(entry, own, i === ordered.length - 1);
  });
}
