/** Finds users and groups by the account files of an env, as programs in it would. */
import { readFileSync } from 'node:fs';
import { ByrefError } from '../../../base/error.ts';
import { resolveInRoot } from './paths-inside.ts';

/** A user to run a program as. */
export interface InsideUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
}

/** Larger account files are not read. */
const FILE_MAX = 2 ** 24;

/**
 * Finds a user. @param wanted USER, UID, or either with :GROUP or :GID, as docker exec takes it
 * @throws ByrefError 'notFound'
 */
export function userInside(mountpoint: string, wanted: string): InsideUser {
  const [user = '', group] = wanted.split(':');
  const users = linesOf(mountpoint, '/etc/passwd');
  const groups = linesOf(mountpoint, '/etc/group');
  const found = users.find(([name, , uid]) => name === user || uid === user);
  if (found === undefined && !/^\d+$/.test(user)) throw unknown('user', user);
  const [name = '', , uid = user, primary = '0', , home = '/'] = found ?? [];
  const gid = group === undefined ? Number(primary) : groupOf(groups, group);
  const additionalGids =
    group === undefined && name !== ''
      ? groups
          .filter(([, , , members = '']) => members.split(',').includes(name))
          .map(([, , id]) => Number(id))
      : [];
  return { uid: Number(uid), gid, additionalGids, home: home === '' ? '/' : home };
}

function groupOf(groups: readonly string[][], wanted: string): number {
  const found = groups.find(([name, , gid]) => name === wanted || gid === wanted);
  if (found !== undefined) return Number(found[2]);
  if (/^\d+$/.test(wanted)) return Number(wanted);
  throw unknown('group', wanted);
}

function unknown(kind: string, name: string): ByrefError {
  const hint = `Name one of the env’s own, as in its /etc/${kind === 'user' ? 'passwd' : 'group'}, or a number.`;
  return new ByrefError('notFound', `the env has no ${kind} "${name}"`, hint);
}

function linesOf(mountpoint: string, file: string): string[][] {
  const found = resolveInRoot(mountpoint, file);
  if (found === null || !found.stat.isFile() || found.stat.size > FILE_MAX) return [];
  return readFileSync(found.path, 'latin1')
    .split('\n')
    .map((line) => line.split(':'));
}
