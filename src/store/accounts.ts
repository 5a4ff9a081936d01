/**
 * Numbers of users and groups that apps add: one per name for the whole store, whatever order apps are built and composed in,
 * from ranges that the tools of a distribution reach last. A number is never given to another name.
 */
import { ByrefError } from '../base/error.ts';
import { decodeNumber, encodeNumber } from '../codec/store-rows.ts';
import { textKey } from './keys.ts';
import type { Tables } from './tables.ts';

export type AccountKind = 'user' | 'group';

/** Of packages, or of people: see Debian's policy, 9.2.2. */
export type AccountClass = 'system' | 'normal';

/** First and last number of a range. */
type Range = readonly [number, number];

/** System accounts: Debian's tools take 100 upwards or 999 downwards. */
const RANGES: Readonly<Record<AccountClass, Range>> = {
  system: [400, 899],
  normal: [30_000, 59_999],
};

/** True for a number that an app's account can have. */
export const isAccountNumber = (number: number): boolean =>
  Object.values(RANGES).some(([first, last]) => first <= number && number <= last);

const PREFIX: Readonly<Record<AccountKind, string>> = { user: 'u:', group: 'g:' };

/**
 * The number that the account has in every app.
 * @param avoid numbers that a new one must not get: other accounts' where it is installed
 * @throws ByrefError 'noSpace' if a range is used up, 'badInput' if another account there has it; call it inside a transaction
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
