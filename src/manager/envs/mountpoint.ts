import {
  chmodSync,
  lstatSync,
  mkdirSync,
  realpathSync,
  rmdirSync,
  type Stats,
  statSync,
} from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { checkout } from '../../base/program-files.ts';
import { envAt } from '../../ipc/mount-table.ts';
import { RunDir } from '../../ipc/run-dir.ts';
import { closeToUsers, mountDir, type Store, usersDir } from '../../store/store.ts';

/** A place to mount an env on, and whether users may reach it there. */
export interface Place {
  /** An absolute path; null: a directory below the root. */
  readonly at: string | null;
  /** True: users of the machine may look into the env. */
  readonly allowUsers: boolean;
}

/** Search permission for users who neither own a file nor are in its group. */
const S_IXOTH = 0o001;
const S_IXALL = 0o111;

/**
 * Makes the directory that an env is to be mounted on, and returns its real path.
 *
 * An env's root has working set-user-ID programs, and must let every user through, because programs in the env run as any
 * user. So users of the machine are kept out by a directory above it that only root may search: <root>/mnt.
 * @throws ByrefError 'usage' if users could reach it and may not, 'badInput' for what can't be a mount point
 */
export function makeMountpoint(store: Store, env: string, { at, allowUsers }: Place): string {
  closeToUsers(store.root);
  if (at === null) return allowUsers ? openDir(store.root, env) : closedDir(store.root, env);
  refuse(store.root, at);
  const made = makeDirectory(at);
  try {
    const place = realpathSync(at);
    refuse(store.root, place);
    refuseAlias(store.root, place);
    if (allowUsers || barrierAbove(place) !== null) return place;
    throw reachable(place);
  } catch (error) {
    // A refusal leaves nothing.
    for (const directory of made.reverse()) rmdirSync(directory);
    throw error;
  }
}

/** Returns the directories above a place, the topmost first. */
function parentsOf(place: string): string[] {
  const parents: string[] = [];
  for (let at = place; at !== path.dirname(at); ) {
    at = path.dirname(at);
    parents.unshift(at);
  }
  return parents;
}

/** Returns the topmost directory above `place` that keeps users out, as only root and its group may search it; or null. */
export function barrierAbove(place: string): string | null {
  const isBarrier = (directory: string): boolean => {
    const { uid, mode } = statSync(directory);
    return uid === 0 && (mode & S_IXOTH) === 0;
  };
  return parentsOf(place).find(isBarrier) ?? null;
}

function closedDir(root: string, env: string): string {
  const directory = mountDir(root, env);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return directory;
}

/** Makes a directory that users may reach. For that the root has to let them through; the rest of it stays closed. */
function openDir(root: string, env: string): string {
  const directory = usersDir(root, env);
  chmodSync(root, statSync(root).mode | S_IXALL);
  if (mkdirSync(path.dirname(directory), { recursive: true }) !== undefined)
    chmodSync(path.dirname(directory), 0o711);
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** What the processes that serve an env open by path, beside the root: a driver that waits for its own env waits for good. */
function neededPaths(root: string): string[] {
  const own = [path.dirname(new RunDir(root).path), checkout(), process.execPath];
  return [...own.map(realOrSame), '/proc', '/sys', '/dev'];
}

function realOrSame(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

const inside = (directory: string, of: string): boolean =>
  directory === of || directory.startsWith(of === '/' ? of : `${of}/`);

/** Refuses bad places by their path and the kernel's table alone: to look below a mount would be to ask its driver. */
function refuse(root: string, place: string): void {
  const needed = neededPaths(root);
  const hidden = [root, ...needed].find((each) => inside(each, place));
  if (hidden !== undefined) throw wouldHide(place, hidden);
  const runDir = needed[0] ?? '';
  if (inside(place, runDir)) {
    const message = `${place} is a part of ${runDir}, where the processes of byref meet`;
    throw new ByrefError('badInput', message, 'Name a directory elsewhere.');
  }
  if (envAt(root, place) !== null) {
    const message = `an env can't be mounted in another one, and ${place} is in one`;
    const hint = 'Mount it elsewhere, and then: mount --bind';
    throw new ByrefError('badInput', message, hint);
  }
  const own = ['mnt', 'users', 'scratch'].map((name) => path.join(root, name));
  if (inside(place, root) && !own.some((name) => place !== name && inside(place, name))) {
    const message = `${place} is a part of the root`;
    throw new ByrefError('badInput', message, `Name a directory below ${own[0]}, or elsewhere.`);
  }
}

/**
 * Refuses the root under another name, which it has by a bind mount: what is mounted on the one may be so on the other, too.
 * Asks no env's driver: its mounts were refused before.
 */
function refuseAlias(root: string, place: string): void {
  const same = ({ ino, dev }: Stats) => {
    return (directory: string): boolean => {
      const found = statSync(directory);
      return found.ino === ino && found.dev === dev;
    };
  };
  const placeStat = statSync(place);
  if ([...parentsOf(root), root].some(same(placeStat))) throw wouldHide(place, root);
  if (inside(place, root) || !parentsOf(place).some(same(statSync(root)))) return;
  const message = `${place} is a part of the root ${root}, under another name`;
  throw new ByrefError('badInput', message, 'Name a directory elsewhere.');
}

const wouldHide = (place: string, what: string): ByrefError =>
  new ByrefError(
    'badInput',
    `to mount on ${place} would hide ${what}`,
    'Name an empty directory elsewhere.',
  );

/** Makes a directory. @returns those that were made for it, the topmost first */
function makeDirectory(place: string): string[] {
  const hint = 'Name a directory; one that does not exist is made.';
  try {
    return makeAll(place);
  } catch (cause) {
    throw new ByrefError('badInput', whyNot(place, cause), hint, { cause });
  }
}

/** Works like mkdirSync with `recursive`, which never returns where nothing can be made, such as below /proc. */
function makeAll(place: string): string[] {
  if (statSync(place, { throwIfNoEntry: false })?.isDirectory()) return [];
  const above = isFound(lstatSync, path.dirname(place)) ? [] : makeAll(path.dirname(place));
  mkdirSync(place);
  return [...above, place];
}

function whyNot(place: string, cause: unknown): string {
  if (isFound(statSync, place)) return `${place} is not a directory`;
  if (isFound(lstatSync, place)) return `${place} is a symlink that leads nowhere`;
  let above = place;
  while (!isFound(lstatSync, above)) above = path.dirname(above);
  const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
  const why = isFound(statSync, `${above}/.`) ? code : `${above} is not a directory`;
  return `${place} can't be made: ${why}`;
}

function isFound(stat: (file: string) => unknown, file: string): boolean {
  try {
    stat(file);
    return true;
  } catch {
    return false;
  }
}

function reachable(place: string): ByrefError {
  const hint =
    `Mount it below a directory that only root may search (chmod 700), ` +
    'or say --allow-users: then without set-user-ID programs and devices, unless -o suid,dev.';
  return new ByrefError('usage', `users of this machine can reach ${place}`, hint);
}
