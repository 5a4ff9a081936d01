/**
 * Numbers of users and groups that apps add: one per name for the whole store, whatever order apps are built and composed in,
 * from ranges that the tools of a distribution reach last. A number is never given to another name.
 */
import { ByrefError } from '../base/error.ts';
import { decodeNumber, encodeNumber } from '../codec/store-rows.ts';
import { textKey } from './keys.ts';
import type { Tables } from './tables.ts';

export type AccountKind = 'user' | 'group';

/** First and last number of a range. */
type Range = readonly [number, number];

/** System accounts: Debian's tools take 100 upwards or 999 downwards. */
const SYSTEM: Range = [400, 899];
const NORMAL: Range = [30_000, 59_999];
/** What is not in one of these is fixed by whoever made the package. */
const SYSTEM_CLASS: Range = [100, 999];
const NORMAL_CLASS: Range = [1000, 59_999];

const PREFIX: Readonly<Record<AccountKind, string>> = { user: 'u:', group: 'g:' };

/**
 * @param id as the package's scripts chose it
 * @returns the number that the account has in every app; `id` itself if that is of no class that is given out
 * @throws ByrefError 'noSpace' if a range is used up; call it inside a transaction
 */
export function accountNumber(tables: Tables, kind: AccountKind, name: string, id: number): number {
  const range = rangeOf(id);
  if (range === null) return id;
  const table = tables.table('accounts');
  const key = textKey(PREFIX[kind] + name);
  const known = table.get(key);
  if (known !== undefined) return decodeNumber(known);
  const number = firstFree(numbersOf(tables, kind), range);
  table.putSync(key, encodeNumber(number));
  return number;
}

/** Names by number, of those that were given out. */
export function numbersOf(tables: Tables, kind: AccountKind): Map<number, string> {
  const prefix = PREFIX[kind];
  const range = { start: textKey(prefix), end: textKey(`${prefix}\uffff`) };
  const names = new Map<number, string>();
  for (const { key, value } of tables.table('accounts').getRange(range)) {
    names.set(decodeNumber(value), key.toString('utf8').slice(prefix.length));
  }
  return names;
}

function rangeOf(id: number): Range | null {
  if (isIn(id, SYSTEM_CLASS)) return SYSTEM;
  return isIn(id, NORMAL_CLASS) ? NORMAL : null;
}

const isIn = (id: number, [first, last]: Range): boolean => id >= first && id <= last;

function firstFree(taken: ReadonlyMap<number, string>, [first, last]: Range): number {
  for (let number = first; number <= last; number++) if (!taken.has(number)) return number;
  const message = `all numbers from ${first} to ${last} are given to accounts of apps`;
  throw new ByrefError('noSpace', message, 'Begin another root.');
}
