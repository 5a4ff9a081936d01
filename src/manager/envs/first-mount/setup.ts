/**
 * What is to be done to an env when it is first mounted: a directory beside its own, `envs/ID.setup`, with `setup.json` and
 * copies of the files to be put into it. It is made by `create` if that was told something, else by the first mount; removed when all is done.
 * So what a kill leaves undone is done by the next mount.
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

/** A file of this machine, to be put into an env. */
export interface FileToPut {
  readonly source: string;
  /** Absolute, in the env. */
  readonly target: string;
}

/** What `create` can be told. */
export interface FirstMount {
  /** null: the env's name. */
  readonly hostname: string | null;
  /** Lines of authorized_keys, for root. */
  readonly sshKeys: readonly string[];
  /** Root's, as in shadow(5); null: what the templates have. */
  readonly passwordHash: string | null;
  readonly files: readonly FileToPut[];
  /** For `sh -c`, in this order. */
  readonly runOnce: readonly string[];
}

export const NOTHING_TOLD: FirstMount = {
  hostname: null,
  sshKeys: [],
  passwordHash: null,
  files: [],
  runOnce: [],
};

/** As it is kept: the files' sources are names in the directory. */
export interface Setup extends FirstMount {
  /** All but the commands is done. */
  readonly made: boolean;
}

const FILE = 'setup.json';
/** Makes it writable by the one process that is at it. */
export const SETUP_LOCK = 'lock';

/** Before an env is mounted: notes that it is for the first time. Not what an older byref has mounted already. */
export function noteFirstMount(root: string, env: number): void {
  if (!existsSync(envDir(root, env)) && !hasSetup(root, env)) writeSetup(root, env, NOTHING_TOLD);
}

/**
 * Keeps copies of the files, and all else, for an env that is about to exist. What is left of one that did not come to be is
 * removed. On disk when this returns, if there is something in it that can't be had again.
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

/** Notes what is left to do. */
export function updateSetup(root: string, env: number, setup: Setup): void {
  writeJson(setupDir(root, env), setup);
}

export const hasSetup = (root: string, env: number): boolean =>
  existsSync(path.join(setupDir(root, env), FILE));

/** null if nothing is to be done. */
export function readSetup(root: string, env: number): Setup | null {
  if (!hasSetup(root, env)) return null;
  const text = readFileSync(path.join(setupDir(root, env), FILE), 'utf8');
  // A power cut may have kept the name, and not the content, of what says nothing.
  return text === '' ? { ...NOTHING_TOLD, made: false } : (JSON.parse(text) as Setup);
}

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
