/** `byref saved`: files of an env that patches set aside. Lists them, puts them back, takes them out, gives them up. */
import { copyFileSync, existsSync, statSync, symlinkSync } from 'node:fs';
import { EBUSY } from '../../base/errno.ts';
import { ByrefError } from '../../base/error.ts';
import { nameToText } from '../../base/ids.ts';
import { bytesOfText } from '../../base/text-bytes.ts';
import {
  DATA_OBJECT,
  DATA_PRIVATE,
  DATA_SYMLINK,
  type InodeRecord,
} from '../../codec/inode-record.ts';
import { type NameAction, type SavedFile, savedFiles } from '../../driver/core/set-aside.ts';
import { readDelta } from '../../driver/delta/read-delta.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';
import { actInEnv } from './act-in-env.ts';
import { privateFile } from './meets.ts';

/** A file that a patch set aside. */
export interface SavedEntry {
  /** The patch that set it aside; see byref history. */
  readonly patch: number;
  readonly path: string;
  readonly size: number;
  /** When its bytes last changed. ISO 8601, UTC. */
  readonly changed: string;
}

interface Found extends SavedEntry {
  readonly file: SavedFile;
  readonly record: InodeRecord;
}

/** Lists what is set aside in an env, by the oldest patch first. */
export async function listSaved(store: Store, row: EnvRow): Promise<SavedEntry[]> {
  return (await find(store, row)).map(({ patch, path, size, changed }) => ({
    patch,
    path,
    size,
    changed,
  }));
}

async function find(store: Store, row: EnvRow): Promise<Found[]> {
  const directory = envDir(store.root, row.id);
  if (!existsSync(directory)) return [];
  const view = await readDelta(directory);
  try {
    return Array.from(savedFiles(view), (file) => {
      const record = view.inode(file.ino);
      return record === null ? [] : [entryOf(store, row, file, record)];
    }).flat();
  } finally {
    await view.close();
  }
}

function entryOf(store: Store, row: EnvRow, file: SavedFile, record: InodeRecord): Found {
  const path = `${store.dirPath(file.dir) ?? '?'}/${nameToText(file.name)}`;
  const stat =
    record.data === DATA_PRIVATE
      ? statSync(privateFile(store, row, file.ino), { throwIfNoEntry: false })
      : undefined;
  const size = stat?.size ?? record.size;
  const changed = new Date(stat?.mtimeMs ?? record.mtime * 1000).toISOString();
  return { patch: file.patch, path, size, changed, file, record };
}

/** Returns a path as a program's arguments have it: what is not UTF-8 is U+FFFD there. */
const asArgument = (path: string): string => bytesOfText(path).toString('utf8');

/** Finds the file of that patch; if `patch` is null, the newest of that path. @throws ByrefError 'notFound' */
async function need(store: Store, row: EnvRow, path: string, patch: number | null): Promise<Found> {
  const all = (await find(store, row)).filter((entry) =>
    [entry.path, asArgument(entry.path)].includes(path),
  );
  const found = patch === null ? all.at(-1) : all.find((entry) => entry.patch === patch);
  if (found !== undefined) return found;
  const message = `${row.name} has no ${path} set aside${patch === null ? '' : ` by patch ${patch}`}`;
  throw new ByrefError('notFound', message, `See byref saved list ${row.name}.`);
}

/**
 * Puts a file back under its name, live if the env is mounted.
 * @throws ByrefError 'notFound'; 'busy' if the env has a file of its own there
 */
export async function restoreSaved(
  store: Store,
  row: EnvRow,
  path: string,
  patch: number | null,
): Promise<SavedEntry> {
  const found = await need(store, row, path, patch);
  const { file } = found;
  const { error } = await actInEnv(store, row, { ...act(file), what: 'restore' });
  if (error === -EBUSY) {
    const message = `${row.name} has a ${path} of its own, or has removed it`;
    const hint = `Take it out with --to FILE and compare; or remove the env's own first.`;
    throw new ByrefError('busy', message, hint);
  }
  if (error !== 0) throw failed(row, path, error);
  return found;
}

/** Copies a file out to the host. @throws ByrefError 'notFound', 'exists' */
export async function copySaved(
  store: Store,
  row: EnvRow,
  path: string,
  patch: number | null,
  target: string,
): Promise<SavedEntry> {
  const found = await need(store, row, path, patch);
  if (existsSync(target))
    throw new ByrefError('exists', `there is a ${target}`, 'Name another file.');
  const { record } = found;
  if (record.data === DATA_SYMLINK) symlinkSync(Buffer.from(record.target, 'latin1'), target);
  else copyFileSync(source(store, row, record), target);
  return found;
}

function source(store: Store, row: EnvRow, record: InodeRecord): string {
  if (record.data === DATA_PRIVATE) return privateFile(store, row, record.ino);
  return record.data === DATA_OBJECT && record.object !== ''
    ? store.objects.path(record.object)
    : '/dev/null';
}

/** Gives up what was set aside: one path, or (null) all. Returns what is gone. @throws ByrefError 'notFound' */
export async function removeSaved(
  store: Store,
  row: EnvRow,
  path: string | null,
  patch: number | null,
): Promise<SavedEntry[]> {
  const all = await find(store, row);
  const chosen = path === null ? all : [await need(store, row, path, patch)];
  const removed: SavedEntry[] = [];
  for (const entry of chosen) {
    if (path === null && patch !== null && entry.patch !== patch) continue;
    const { error } = await actInEnv(store, row, { ...act(entry.file), what: 'discard' });
    if (error !== 0) throw failed(row, entry.path, error);
    removed.push(entry);
  }
  return removed;
}

const act = ({ patch, dir, name }: SavedFile): Omit<NameAction, 'what'> => ({
  patch,
  dir,
  name,
  ino: 0,
  file: null,
  seen: null,
});

function failed(row: EnvRow, path: string, error: number): ByrefError {
  const message = `${path} of ${row.name} could not be changed (errno ${-error})`;
  return new ByrefError('error', message, 'See byref info for what is wrong with the env.');
}
