/** Reads and renumbers users and groups in the contents of passwd, group and shadow. */
import { joinLines, splitLines } from './lines.ts';

/** The contents of the two files, as binary strings. */
export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

/** A user in passwd. A number is -1 if the field is not one. */
export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** A group in group. */
export interface Group {
  readonly name: string;
  readonly gid: number;
}

/** The accounts of both files. */
export interface Accounts {
  readonly users: readonly User[];
  readonly groups: readonly Group[];
}

/** How many fields a line of passwd, and of group, must have: those up to the last one that is read. */
const PASSWD_FIELDS_MIN = 4;
const GROUP_FIELDS_MIN = 3;

/** Returns all accounts; lines that are not accounts are skipped. */
export function accountsOf(passwd: string, group: string): Accounts {
  const users = recordsOf(passwd, PASSWD_FIELDS_MIN).map(([name = '', , uid, gid]) => ({
    name,
    uid: idOf(uid),
    gid: idOf(gid),
  }));
  const groups = recordsOf(group, GROUP_FIELDS_MIN).map(([name = '', , gid]) => ({
    name,
    gid: idOf(gid),
  }));
  return {
    users: users.filter(({ uid, gid }) => uid >= 0 && gid >= 0),
    groups: groups.filter(({ gid }) => gid >= 0),
  };
}

/** Returns the accounts whose names the base does not have. */
export function addedAccounts(base: AccountFiles, files: AccountFiles): Accounts {
  const old = accountsOf(base.passwd, base.group);
  const { users, groups } = accountsOf(files.passwd, files.group);
  const names = (of: readonly { name: string }[]): Set<string> => new Set(of.map((a) => a.name));
  const oldUsers = names(old.users);
  const oldGroups = names(old.groups);
  return {
    users: users.filter(({ name }) => !oldUsers.has(name)),
    groups: groups.filter(({ name }) => !oldGroups.has(name)),
  };
}

/**
 * Finds numbers that belong to two names after a merge, if not both names were there before it: then two
 * accounts are one to the kernel, which a merge by name does not notice.
 * @returns sentences; none for other files than passwd and group
 */
export function sharedNumbers(path: string, before: string, after: string): string[] {
  const kind = path === '/etc/passwd' ? 'users' : path === '/etc/group' ? 'groups' : null;
  if (kind === null) return [];
  const had = new Set(numbered(kind, before).map(({ name }) => name));
  const first = new Map<number, string>();
  const found: string[] = [];
  for (const { name, id } of numbered(kind, after)) {
    const other = first.get(id) ?? name;
    first.set(id, other);
    if (other === name || (had.has(other) && had.has(name))) continue;
    found.push(`${kind} ${other} and ${name} both have number ${id}`);
  }
  return found;
}

function numbered(kind: 'users' | 'groups', content: string): { name: string; id: number }[] {
  if (kind === 'groups')
    return accountsOf('', content).groups.map(({ name, gid: id }) => ({ name, id }));
  return accountsOf(content, '').users.map(({ name, uid: id }) => ({ name, id }));
}

/**
 * Returns Debian's class of an id (policy 9.2.2). System ids are numbered as packages are installed, so two app
 * templates give the same one to different users; normal ids belong to people. All others (`fixed`) are the
 * same on every Debian, or have a special meaning (nobody), and are never renumbered.
 */
export function idClass(id: number): 'system' | 'normal' | 'fixed' {
  if (id >= 100 && id <= 999) return 'system';
  return id >= 1000 && id <= 59_999 ? 'normal' : 'fixed';
}

/**
 * Gives accounts other numbers, all at once, so that two may swap theirs. Ids that are not in a map stay, as do
 * those that are never renumbered. Other files are returned unchanged.
 */
export function renumber<Files extends AccountFiles>(
  files: Files,
  uids: ReadonlyMap<number, number>,
  gids: ReadonlyMap<number, number>,
): Files {
  return {
    ...files,
    passwd: mapFields(files.passwd, PASSWD_FIELDS_MIN, [
      [2, uids],
      [3, gids],
    ]),
    group: mapFields(files.group, GROUP_FIELDS_MIN, [[2, gids]]),
  };
}

function mapFields(
  content: string,
  fieldsMin: number,
  maps: readonly (readonly [field: number, ids: ReadonlyMap<number, number>])[],
): string {
  return mapLines(content, (line) => {
    const fields = line.split(':');
    if (fields.length < fieldsMin) return line;
    for (const [at, ids] of maps) {
      const id = idOf(fields[at]);
      const other = idClass(id) === 'fixed' ? undefined : ids.get(id);
      if (other !== undefined) fields[at] = String(other);
    }
    return fields.join(':');
  });
}

/**
 * 1990-01-01, as for the times of generated files in a template: before Debian existed, so that it is not
 * mistaken for a real change.
 */
const SETTLED_DAY = '7305';
/** Values of shadow(5) with which no password is accepted. */
export const LOCKED: ReadonlySet<string> = new Set(['!', '*', '!*', '!!']);

/**
 * Makes shadow(5) independent of the day of the build. Each entry has the day on which its password last
 * changed; for packages' accounts that is the day of the build, so the same packages would give another file
 * tomorrow. For an account without a usable password the day means nothing (ageing is about passwords), so such
 * accounts that the build added get a constant day. It is not 0, which demands a new password at login.
 */
export function withConstantDays(shadow: string, baseShadow: string): string {
  const old = new Set(splitLines(baseShadow).map((line) => line.split(':')[0]));
  return mapLines(shadow, (line) => {
    const [name = '', password = '', day = '', ...others] = line.split(':');
    if (old.has(name) || !LOCKED.has(password) || !/^\d+$/.test(day)) return line;
    return [name, password, SETTLED_DAY, ...others].join(':');
  });
}

/** Maps each line. A last line without a newline stays without one. */
function mapLines(content: string, map: (line: string) => string): string {
  const mapped = joinLines(splitLines(content).map(map));
  return content.endsWith('\n') ? mapped : mapped.replace(/\n$/, '');
}

function recordsOf(content: string, fieldsMin: number): string[][] {
  return splitLines(content)
    .map((line) => line.split(':'))
    .filter(([name = '', ...others]) => /^[^#+-]/.test(name) && others.length + 1 >= fieldsMin);
}

/** Parses an id; returns -1 if it is not a number. */
function idOf(field: string | undefined): number {
  return field !== undefined && /^\d{1,10}$/.test(field) ? Number(field) : -1;
}
