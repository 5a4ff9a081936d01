/**
 * Keeps what is to be done when an env is first mounted, in a directory beside the env's own: `envs/ID.setup`, with
 * `setup.json` and copies of the files to be put into the env. `create` makes it if it was told something, else the first
 * mount does. It is removed when all is done, so the next mount does what a kill leaves undone.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { envDir, setupDir } from '../../../store/store.ts';
import { withLock } from '../../../store/with-lock.ts';

/** A file of this machine that is to be put into an env. */
export interface FileToPut {
  readonly source: string;
  /** The absolute path in the env. */
  readonly target: string;
}

/** The things that `create` can be told about an env's first mount. */
export interface FirstMount {
  /** null: made from the env's name. */
  readonly hostname: string | null;
  /** Lines for root's authorized_keys. */
  readonly sshKeys: readonly string[];
  /** Root's password hash, as in shadow(5); null: as in the templates. */
  readonly passwordHash: string | null;
  readonly files: readonly FileToPut[];
  /** Commands for `sh -c`, in the order in which they run. */
  readonly runOnce: readonly string[];
}

/** Nothing beside what each first mount does. */
export const NOTHING_TOLD: FirstMount = {
  hostname: null,
  sshKeys: [],
  passwordHash: null,
  files: [],
  runOnce: [],
};

/** A FirstMount as it is kept: the sources of its files are names in the setup's directory. */
export interface Setup extends FirstMount {
  /** True when only the commands are left to do. */
  readonly made: boolean;
}

const FILE = 'setup.json';
/** The name of the lock by which one process at a time carries a setup out. */
export const SETUP_LOCK = 'lock';

/**
 * Notes, before an env is mounted, that this is its first mount. Skips envs that an older byref has mounted already. Of
 * commands that mount an env at once, the first one notes it.
 */
export async function noteFirstMount(root: string, env: number): Promise<void> {
  const isNoted = (): boolean => existsSync(envDir(root, env)) || hasSetup(root, env);
  if (isNoted()) return;
  await withLock(path.dirname(setupDir(root, env)), 'directory', () => {
    if (!isNoted()) writeSetup(root, env, NOTHING_TOLD);
  });
}

/**
 * Returns what an env was told of its first mount that another one made of it can be told, too; null if it was mounted.
 * @throws ByrefError 'usage' if it has files to be put into it, which stay with the one env
 */
export function passedOn(
  root: string,
  { id, name }: { readonly id: number; readonly name: string },
): FirstMount | null {
  const told = readSetup(root, id);
  if (told === null) return existsSync(envDir(root, id)) ? null : NOTHING_TOLD;
  if (told.files.length === 0) return told;
  throw new ByrefError(
    'usage',
    `${name} was never mounted, and has files to be put into it then`,
    `Mount it once: byref mount ${name}; byref umount ${name}`,
  );
}

/**
 * Keeps what was told, with copies of the files, for an env that is about to exist. Removes leftovers of an env that did not
 * come to be. If it holds anything that can't be had again, it is on disk when this returns.
 * @throws the system's errors; ByrefError 'badInput' for a source that is no regular file
 */
export function writeSetup(root: string, env: number, told: FirstMount): void {
  const directory = setupDir(root, env);
  const part = `${directory}.new`;
  for (const old of [directory, part]) rmSync(old, { recursive: true, force: true });
  mkdirSync(part, { mode: 0o700 });
  try {
    fill(part, told);
  } catch (cause) {
    rmSync(part, { recursive: true, force: true });
    throw cause;
  }
  renameSync(part, directory);
  if (told === NOTHING_TOLD) return;
  sync(directory);
  sync(path.dirname(directory));
}

function fill(part: string, told: FirstMount): void {
  const files = told.files.map(({ source, target }, i) => {
    refuseIrregular(source);
    const kept = `file-${i}`;
    copyFileSync(source, path.join(part, kept));
    sync(path.join(part, kept));
    return { source: kept, target };
  });
  writeJson(part, { ...told, files, made: false });
}

function refuseIrregular(source: string): void {
  const stat = statSync(source, { throwIfNoEntry: false });
  if (stat?.isFile() === true) return;
  const what = stat === undefined ? 'does not exist' : 'is no regular file';
  throw new ByrefError('badInput', `${source} ${what}`, '--file takes files, one at a time.');
}

/** Records what is left to do. */
export function updateSetup(root: string, env: number, setup: Setup): void {
  writeJson(setupDir(root, env), setup);
}

/** True while something is left to do of an env's first mount. */
export const hasSetup = (root: string, env: number): boolean =>
  existsSync(path.join(setupDir(root, env), FILE));

/** Reads what is left to do of an env's first mount; null if nothing is. */
export function readSetup(root: string, env: number): Setup | null {
  if (!hasSetup(root, env)) return null;
  const text = readFileSync(path.join(setupDir(root, env), FILE), 'utf8');
  // After a power cut a setup that was told nothing may have its name but no content, because it is not synced.
  return text === '' ? { ...NOTHING_TOLD, made: false } : (JSON.parse(text) as Setup);
}

/** Removes the setup, when all is done or the env is destroyed. */
export function removeSetup(root: string, env: number): void {
  rmSync(setupDir(root, env), { recursive: true, force: true });
}

function writeJson(directory: string, setup: Setup): void {
  const file = path.join(directory, FILE);
  writeFileSync(`${file}.new`, `${JSON.stringify(setup)}\n`, { mode: 0o600 });
  if (JSON.stringify(setup) !== JSON.stringify({ ...NOTHING_TOLD, made: false }))
    sync(`${file}.new`);
  renameSync(`${file}.new`, file);
}

function sync(file: string): void {
  const fd = openSync(file, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
