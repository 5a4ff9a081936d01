/** Checks the numbers of users and groups that apps have: each name has its own number, permanently. */
import { decodeNumber } from '../../../codec/store-rows.ts';
import { type AccountKind, isAccountNumber } from '../../../store/accounts.ts';
import { damage, type Found, FROM_BACKUP, restoring } from './finding.ts';
import type { Job } from './job.ts';
import { eachRow } from './rows.ts';

interface Account {
  readonly kind: AccountKind;
  readonly name: string;
}

/** Checks the rows of `accounts`. */
export function* checkAccounts({ tables }: Job): Generator<Found> {
  const bad: Found[] = [];
  /** By kind and number. */
  const owners = new Map<string, Account>();
  const unread = ({ key, why }: { key: Buffer; why: string }): void => {
    bad.push(
      damage('accounts.row', whereOf(key), `its row can't be read (${why})`, restoring(why)),
    );
  };
  for (const { key, value } of eachRow(tables, 'accounts', decodeNumber, unread)) {
    const account = accountOf(key);
    if (account === null) {
      const what = 'its key is not that of a user or a group';
      bad.push(damage('accounts.row', whereOf(key), what, FROM_BACKUP));
      continue;
    }
    if (!isAccountNumber(value)) {
      const what = `its number is ${value}, which no account of an app has`;
      bad.push(damage('accounts.row', whereOf(key), what, FROM_BACKUP));
    }
    const place = `${account.kind} ${value}`;
    const other = owners.get(place);
    if (other === undefined) owners.set(place, account);
    else {
      const what = `it has the number of ${other.kind} ${other.name}, ${value}: in an env with both, each has the files of the other`;
      yield damage('accounts.number', whereOf(key), what, FROM_BACKUP);
    }
  }
  yield* bad;
}

/** Parses a key; null if it is not an account's. */
function accountOf(key: Buffer): Account | null {
  const [, letter, name] = /^([ug]):([^:\n\ufffd]+)$/.exec(key.toString('utf8')) ?? [];
  return name === undefined ? null : { kind: letter === 'u' ? 'user' : 'group', name };
}

function whereOf(key: Buffer): string {
  const account = accountOf(key);
  return account === null
    ? `table accounts, key ${key.toString('hex', 0, 40)}`
    : `${account.kind} ${account.name}`;
}
