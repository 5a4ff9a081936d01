/** Finds directories of envs that no longer exist: an interrupted destroy leaves them. */
import { readdirSync, rmdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { decodeEnv } from '../../../codec/store-rows.ts';
import { EnvLock } from '../../../driver/delta/env-lock.ts';
import { removeDelta } from '../../../driver/delta/remove-delta.ts';
import { envMounts, mountsBelow } from '../../../ipc/mount-table.ts';
import { idKey } from '../../../store/keys.ts';
import {
  envDir,
  envOfEntry,
  envsDir,
  mountDir,
  scratchDir,
  usersDir,
} from '../../../store/root.ts';
import { hasWriter } from '../../../store/writer-lock.ts';
import { envDirectories } from './env-directories.ts';
import { damage, type Found, leftover, REMOVED_BY_REPAIR } from './finding.ts';
import type { Job } from './job.ts';
import { eachRow, exactLength, hasRow } from './rows.ts';

/** Finds leftovers below envs/ and the directories for mount points. */
export function* checkLeftovers(job: Job): Generator<Found> {
  // A destroy that is under way has removed the row, and is now removing the files.
  if (!job.options.repair && hasWriter(job.root)) return;
  const { ids, names } = namedEnvs(job);
  const mounts = envMounts(job.root);
  for (const id of envDirectories(job.root)) {
    // An env whose name still exists has lost its row: that is damage, and its files are no leftovers.
    if (ids.has(id) || hasRow(job.tables, 'envs', idKey(id)) || mounts.has(id)) continue;
    const directory = envDir(job.root, id);
    if (job.store.mayBeLost(id)) {
      const what =
        'the env of this directory was made after the copy that the store was restored from, or its row is damaged';
      const remedy = 'move what is needed out of it, and then it';
      yield damage('envs.lost', directory, what, remedy);
      continue;
    }
    const what = 'the directory of an env that was destroyed';
    const files = () => removeEnvDir(directory);
    yield leftover('envs.extra', directory, what, REMOVED_BY_REPAIR, { files });
  }
  yield* checkSetups(job, ids);
  yield* checkMountDirs(job, names);
}

/** Finds instructions for first mounts of envs that no longer exist, or were never completed. */
function* checkSetups(job: Job, ids: ReadonlySet<number>): Generator<Found> {
  for (const name of entries(envsDir(job.root))) {
    const id = name.includes('.') ? envOfEntry(name) : null;
    if (id === null || ids.has(id) || hasRow(job.tables, 'envs', idKey(id))) continue;
    const directory = path.join(envsDir(job.root), name);
    const what = 'what was to be done at the first mount of an env that does not exist';
    const files = () => rmSync(directory, { recursive: true, force: true });
    yield leftover('envs.extra', directory, what, REMOVED_BY_REPAIR, { files });
  }
}

/** Returns all envs by `envNames`, and by their rows. */
function namedEnvs({ tables }: Job): { ids: Set<number>; names: Set<string> } {
  const ids = new Set<number>();
  const names = new Set<string>();
  const idOf = (value: Buffer): number => exactLength(value, 4).readUInt32BE(0);
  const unread = ({ key }: { key: Buffer }): void => void names.add(key.toString('utf8'));
  for (const { key, value } of eachRow(tables, 'envNames', idOf, unread)) {
    names.add(key.toString('utf8'));
    ids.add(value);
  }
  for (const { value } of eachRow(tables, 'envs', decodeEnv)) names.add(value.name);
  return { ids, names };
}

/** Removes an env's directory under its lock, so that no driver has it. */
function removeEnvDir(directory: string): void {
  const lock = EnvLock.acquire(directory);
  removeDelta(directory);
  void lock.release(false);
}

function* checkMountDirs(job: Job, names: ReadonlySet<string>): Generator<Found> {
  for (const mnt of [mountDir, usersDir, scratchDir].map((directory) => directory(job.root, '.'))) {
    const mounted = new Set(mountsBelow(mnt));
    for (const name of entries(mnt)) {
      const directory = path.join(mnt, name);
      if (names.has(name) || mounted.has(directory)) continue;
      const what = 'a mount point of an env that does not exist';
      // Not recursively: files that somebody put below it are not ours.
      const files = () => rmdirSync(directory);
      yield leftover('mounts.extra', directory, what, REMOVED_BY_REPAIR, { files });
    }
  }
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}
