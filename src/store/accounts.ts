/**
 * Gives out the numbers of the users and groups that apps add. Each name has one number in the whole store, in
 * whatever order apps are built and composed. The numbers come from ranges that a distribution's own tools
 * reach last. A number is never given to another name.
 */
import { ByrefError } from '../base/error.ts';
import { decodeNumber, encodeNumber } from '../codec/store-rows.ts';
import { textKey } from './keys.ts';
import type { Tables } from './tables.ts';

/** The two kinds of accounts, which have separate numbers. */
export type AccountKind = 'user' | 'group';

/**
 * The two classes of accounts, of packages and of people (Debian Policy, 9.2.2); the class decides the range of
 * numbers.
 */
export type AccountClass = 'system' | 'normal';

/** The first and last number of a range. */
type Range = readonly [number, number];

/**
 * The numbers that apps' accounts get. For system accounts, Debian's tools count from 100 upwards or from 999
 * downwards.
 */
const RANGES: Readonly<Record<AccountClass, Range>> = {
  system: [400, 899],
  normal: [30_000, 59_999],
};

/** Returns true for a number from the ranges of apps' accounts. */
export const isAccountNumber = (number: number): boolean =>
  Object.values(RANGES).some(([first, last]) => first <= number && number <= last);

const PREFIX: Readonly<Record<AccountKind, string>> = { user: 'u:', group: 'g:' };

/**
 * Returns the number that the account has in every app; the first call for a name gives one out. Call it inside
 * a transaction.
 * @param of the class, which decides the range of a new number
 * @param avoid numbers that other accounts have where it is to be installed: a new one is none of them
 * @throws ByrefError 'noSpace' if the range is used up, 'badInput' if `avoid` has the number that was given out
 *   before
 */
export function accountNumber(
  tables: Tables,
  kind: AccountKind,
  name: string,
  of: AccountClass,
  avoid: ReadonlySet<number>,
): number {
  const table = tables.table('accounts');
  const key = textKey(PREFIX[kind] + name);
  const known = table.get(key);
  if (known !== undefined) return free(kind, name, decodeNumber(known), avoid);
  const taken = numbersOf(tables, kind);
  const number = firstFree((each) => taken.has(each) || avoid.has(each), RANGES[of]);
  table.putSync(key, encodeNumber(number));
  return number;
}

/** Returns the names of all accounts of a kind that have a number, by number. */
export function numbersOf(tables: Tables, kind: AccountKind): Map<number, string> {
  const prefix = PREFIX[kind];
  const range = { start: textKey(prefix), end: textKey(`${prefix}\uffff`) };
  const names = new Map<number, string>();
  for (const { key, value } of tables.table('accounts').getRange(range)) {
    names.set(decodeNumber(value), key.toString('utf8').slice(prefix.length));
  }
  return names;
}

function firstFree(isTaken: (number: number) => boolean, [first, last]: Range): number {
  for (let number = first; number <= last; number++) if (!isTaken(number)) return number;
  const message = `all numbers from ${first} to ${last} are given to accounts of apps`;
  throw new ByrefError('noSpace', message, 'Begin another root.');
}

function free(kind: AccountKind, name: string, number: number, avoid: ReadonlySet<number>): number {
  if (!avoid.has(number)) return number;
  const message = `${kind} ${name} has number ${number} in the apps of this root, and in the base another ${kind} has it`;
  throw new ByrefError(
    'badInput',
    message,
    'Give that one another number, and build the base again.',
  );
}
