/** Knows which files a byref root consists of, creates one, and recognizes one. */
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../base/error.ts';
import { FORMAT, MARKER, markerText } from './marker.ts';
import { keepReserve, RESERVE } from './reserve.ts';
import { openTables } from './tables.ts';

/**
 * The directories of a root, with their modes. The set-user-ID programs of mounted envs work below mnt/, so
 * that is closed to other users, too.
 */
export const SUBDIRECTORIES = { meta: 0o700, objects: 0o700, envs: 0o700, mnt: 0o700 } as const;
/** The directory for mounts of envs that other users may look into; made with the first one. */
const USERS = 'users';
/** The directory for mounts of scratch envs, out of people's sight; made with the first one. */
const SCRATCH = 'scratch';
/** Read permission of others: those who are neither the owner nor in the group. */
const S_IROTH = 0o004;
const DEFAULT_SHARDS = 1;
/** A root may be a mount point, and an empty ext4 file system has this directory. */
const LOST_FOUND = 'lost+found';

/** Settings of a new root. */
export interface RootOptions {
  /** Driver processes that envs are spread over; 1 if it is not given. */
  readonly shards?: number;
}

/** Returns the directory of the store's tables. */
export const metaDir = (root: string): string => path.join(root, 'meta');
/** Returns the directory of objects. */
export const objectsDir = (root: string): string => path.join(root, 'objects');
/** Returns the directory that holds a directory for each env. */
export const envsDir = (root: string): string => path.join(root, 'envs');
/** Returns the directory of an env's own changes. */
export const envDir = (root: string, id: number): string => path.join(root, 'envs', String(id));
/** Returns the directory with what is left to do at an env's first mount; it exists until that is done. */
export const setupDir = (root: string, id: number): string =>
  path.join(root, 'envs', `${id}.setup`);

/** Returns the id of the env that an entry of envs/ belongs to; null if it belongs to none. */
export function envOfEntry(name: string): number | null {
  const [, id] = /^([1-9]\d*)(?:[.]setup(?:[.]new)?)?$/.exec(name) ?? [];
  return id === undefined ? null : Number(id);
}
/** Returns an env's standard mount point. */
export const mountDir = (root: string, envName: string): string => path.join(root, 'mnt', envName);
/** Returns the mount point of an env that other users may look into. */
export const usersDir = (root: string, envName: string): string => path.join(root, USERS, envName);
/** Returns the mount point of a scratch env. */
export const scratchDir = (root: string, envName: string): string =>
  path.join(root, SCRATCH, envName);
/** Returns the directory in which backups are put together and taken apart. */
export const backupDir = (root: string): string => path.join(root, 'backup');
/** Returns the directory with what stands of moves under way: `in/` of those that come here, `out/` of those that leave. */
export const movesDir = (root: string): string => path.join(root, 'moves');
/** Returns the file that the store's writer locks. */
export const writerLockPath = (root: string): string => path.join(root, 'meta', 'writer.lock');

/** Makes the directory that a scratch env is to be mounted on, and returns its path. */
export function makeScratchDir(root: string, envName: string): string {
  const directory = scratchDir(root, envName);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return directory;
}

/**
 * Closes what an older byref left open: a root, and its mnt/, that every user may list. Other modes were
 * somebody's choice, and stay.
 */
export function closeToUsers(root: string): void {
  for (const directory of [path.join(root, 'mnt'), root]) {
    const found = statSync(directory, { throwIfNoEntry: false });
    if (found !== undefined && (found.mode & S_IROTH) !== 0) chmodSync(directory, 0o700);
  }
}

/**
 * Makes `dir` a byref root, with its parents as needed.
 * @throws ByrefError 'exists' if it is one already, 'badInput' if it holds something else
 */
export async function initRoot(dir: string, options: RootOptions = {}): Promise<void> {
  refuseOccupied(dir);
  mkdirSync(dir, { recursive: true });
  chmodSync(dir, 0o700);
  for (const [name, mode] of Object.entries(SUBDIRECTORIES)) {
    mkdirSync(path.join(dir, name), { recursive: true, mode });
  }
  const tables = openTables(metaDir(dir), { write: true, create: true });
  tables.setNumber('shards', options.shards ?? DEFAULT_SHARDS);
  await tables.close();
  keepReserve(dir);
  // The marker comes last: without it this is an init that was cut short, and can be run again.
  writeFileSync(path.join(dir, MARKER), markerText(FORMAT));
}

function refuseOccupied(dir: string): void {
  if (!existsSync(dir)) return;
  const names = readdirOrRefuse(dir);
  if (names.includes(MARKER)) {
    throw new ByrefError('exists', `${dir} is a byref root already`, 'Use it as it is.');
  }
  const foreign = names.find(
    (name) =>
      ![LOST_FOUND, USERS, SCRATCH, RESERVE].includes(name) && !Object.hasOwn(SUBDIRECTORIES, name),
  );
  if (foreign !== undefined) {
    throw new ByrefError(
      'badInput',
      `${dir} holds something else (${foreign})`,
      'Name an empty or a new directory.',
    );
  }
}

function readdirOrRefuse(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (cause) {
    throw new ByrefError('badInput', `${dir} is not a directory`, 'Name another one.', { cause });
  }
}
