/** Backs up an env into a directory with its earlier backups, and removes those that need not be kept. */
import { mkdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../base/error.ts';
import { failpoint } from '../base/failpoints.ts';
import {
  baseForNext,
  expired,
  newBackup,
  type Retention,
  removePartial,
  type StoredBackup,
  storedBackups,
} from '../manager/backup/backup-dir.ts';
import { type BaseBackup, readBase } from '../manager/backup/base-backup.ts';
import type { CopyHooks } from '../manager/envs/copy-at-rest.ts';
import { type FileLock, LockFile } from '../native/lock-file.ts';
import { syncFileSystem } from '../native/sync-file-system.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { type EnvBackedUp, writeBackup } from './backup-env.ts';

const LOCK = '.lock';

/** How envs are backed up into a directory. */
export interface BackupIntoOptions {
  readonly withTemplates: boolean;
  /** True: one that can builds on the newest that is there: see baseForNext(). */
  readonly incremental: boolean;
  /** null: nothing is removed. */
  readonly keep: Retention | null;
}

/** The outcome of backupInto(). */
export interface EnvBackedUpInto extends EnvBackedUp {
  /** The file of the backup that it builds on; null: it has all. */
  readonly base: string | null;
  /** Files of earlier backups that were removed. */
  readonly removed: readonly string[];
}

/**
 * Makes this process the only one that backs up into a directory.
 * @throws ByrefError 'notFound' if it is not there, 'locked' if another process has it
 */
export function lockBackups(directory: string): FileLock {
  const hint = 'Make it, or mount what it is on, then run this again.';
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new ByrefError('notFound', `there is no directory ${directory}`, hint);
  const lock = new LockFile(path.join(directory, LOCK));
  if (lock.try('exclusive')) return lock;
  lock.release();
  const message = `another command backs up into ${directory}`;
  throw new ByrefError('locked', message, 'Wait for its end, then run this again.');
}

/**
 * Backs up an env into the directory of its name. Earlier backups go only when the new one is on disk. The store is open for writing; the
 * caller has the directory's lock.
 *
 * Crash windows. A part of a backup is removed by the next run. Backups are removed in an order in which each one left has all that it builds on.
 * @param note hears why a backup does not build on an earlier one
 * @throws ByrefError as writeBackup()
 */
export async function backupInto(
  store: Store,
  row: EnvRow,
  directory: string,
  { withTemplates, incremental, keep }: BackupIntoOptions,
  hooks: CopyHooks,
  note: (text: string) => void,
): Promise<EnvBackedUpInto> {
  const own = path.join(directory, row.name);
  mkdirSync(own, { recursive: true, mode: 0o700 });
  removePartial(own);
  const now = Date.now();
  const wanted = incremental ? baseForNext(storedBackups(own), now) : null;
  const base =
    wanted === null ? null : await store.pause(() => usable(wanted, row, hooks.signal, note));
  const file = newBackup(own, now, base === null ? null : wanted);
  const made = await writeBackup(store, row, { file, withTemplates, base }, hooks);
  const removed = keep === null ? [] : await removeExpired(own, keep, file);
  return { ...made, base: base === null ? null : (wanted?.file ?? null), removed };
}

/** Reads a backup to build on; null if it can't be built on, as one of an earlier env of that name. */
async function usable(
  { file }: StoredBackup,
  row: EnvRow,
  signal: AbortSignal,
  note: (text: string) => void,
): Promise<BaseBackup | null> {
  try {
    return await readBase(file, row, signal);
  } catch (error) {
    if (!(error instanceof ByrefError) || !['usage', 'badInput', 'corrupt'].includes(error.code))
      throw error;
    note(`${error.message}: so the backup of ${row.name} has all`);
    return null;
  }
}

async function removeExpired(directory: string, keep: Retention, made: string): Promise<string[]> {
  const failed = await syncFileSystem(directory);
  if (failed < 0) throw new Error(`${directory} can't be put on disk: errno ${-failed}`);
  failpoint('backup-synced');
  const removed: string[] = [];
  for (const { file } of expired(storedBackups(directory), keep, made)) {
    rmSync(file, { force: true });
    failpoint('backup-removed');
    removed.push(file);
  }
  return removed;
}
