/**
 * Keeps copies of the store, from which it can be restored when it is damaged: at most two, each as large as the store was.
 *
 * A writer makes one before it gives the writer's lock back, if the newest one is older than ten minutes, or the store has
 * grown by a quarter since. So it is of one moment, between two transactions. Where the file system can share blocks, a
 * copy takes none until the store changes.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  type Stats,
  statfsSync,
  statSync,
} from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../base/error.ts';
import { failpoint } from '../base/failpoints.ts';
import { CHECKED } from '../base/lmdb-check.ts';
import { pageDamage } from '../base/lmdb-pages.ts';
import { WITHOUT_SUMS, writeMarker } from './marker.ts';
import { metaDir } from './root.ts';
import { hasDamagedRow } from './row-damage.ts';

/** The newest copy, and one that is older: a damage that is seen late may be in the newest one, too. */
const NEWEST = 'newest.mdb';
const OLDER = 'older.mdb';
const NEWEST_MS = 10 * 60_000;
const OLDER_MS = 24 * 3_600_000;
const GROWTH = 1.25;
/** A larger copy is not checked when it becomes the older one: all of it would be in memory. */
const CHECKED_BYTES = 2 ** 28;
/** A copy is made only where the device has this many times its size free. */
const ROOM = 4;

const copiesDir = (root: string): string => path.join(metaDir(root), 'copies');
const dataFile = (root: string): string => path.join(metaDir(root), 'data.mdb');

/** Copies the store if that is due. The caller has the writer's lock. Nothing that goes wrong with it is an error. */
export function keepCopy(root: string): void {
  try {
    const data = statSync(dataFile(root));
    const newest = look(root, NEWEST);
    if (newest !== null && !isDue(data, newest)) return;
    const { bavail, bsize } = statfsSync(metaDir(root));
    if (bavail * bsize < ROOM * data.size) return;
    mkdirSync(copiesDir(root), { recursive: true, mode: 0o700 });
    copyDurably(dataFile(root), path.join(copiesDir(root), 'making.mdb'));
    const older = look(root, OLDER);
    if (newest !== null && mayBecomeOlder(root, newest, older)) {
      renameSync(path.join(copiesDir(root), NEWEST), path.join(copiesDir(root), OLDER));
    }
    renameSync(path.join(copiesDir(root), 'making.mdb'), path.join(copiesDir(root), NEWEST));
  } catch {
    // There is the copy from before, or none.
  }
}

/** Once a day the newest copy becomes the older one, unless it is damaged itself: then the older one may be the last that is not. */
function mayBecomeOlder(root: string, newest: Stats, older: Stats | null): boolean {
  if (older === null) return true;
  if (Date.now() - older.mtimeMs <= OLDER_MS) return false;
  return newest.size > CHECKED_BYTES || isSound(root, NEWEST);
}

function isDue(data: Stats, newest: Stats): boolean {
  if (data.mtimeMs <= newest.mtimeMs) return false;
  return Date.now() - newest.mtimeMs > NEWEST_MS || data.size > newest.size * GROWTH;
}

function look(root: string, name: string): Stats | null {
  return statSync(path.join(copiesDir(root), name), { throwIfNoEntry: false }) ?? null;
}

function copyDurably(from: string, to: string): void {
  rmSync(to, { force: true });
  copyFileSync(from, to, constants.COPYFILE_FICLONE);
  sync(to);
}

function sync(file: string): void {
  const fd = openSync(file, 'r');
  fsyncSync(fd);
  closeSync(fd);
}

/** The outcome of restoreCopy(). */
export interface Restored {
  /** When the copy was made, in milliseconds since the epoch. */
  readonly madeMs: number;
  /** Where the damaged store is now. */
  readonly kept: string;
}

/**
 * Puts the newest copy that is not damaged in the place of the store, which is kept beside it. The caller has the writer's
 * lock, and nothing of the store open. Processes that have it open go on with what they have.
 * @throws ByrefError 'notFound' if there is no such copy
 */
export function restoreCopy(root: string): Restored {
  const name = [NEWEST, OLDER].find((each) => isSound(root, each));
  if (name === undefined) {
    const message = `there is no copy of the store in ${copiesDir(root)} that could be restored`;
    throw new ByrefError('notFound', message, 'Restore meta/data.mdb from a backup.');
  }
  const copy = path.join(copiesDir(root), name);
  const fresh = path.join(metaDir(root), 'data.mdb.new');
  const kept = path.join(metaDir(root), 'data.mdb.damaged');
  copyDurably(copy, fresh);
  rmSync(path.join(metaDir(root), CHECKED), { force: true });
  // LMDB would go on counting transactions where the lost store was.
  rmSync(path.join(metaDir(root), 'lock.mdb'), { force: true });
  failpoint('store-copied');
  // The copy may be from before its rows had sums: whoever opens the root next sees to them.
  writeMarker(root, WITHOUT_SUMS);
  if (statSync(dataFile(root), { throwIfNoEntry: false })) renameSync(dataFile(root), kept);
  renameSync(fresh, dataFile(root));
  sync(metaDir(root));
  return { madeMs: statSync(copy).mtimeMs, kept };
}

function isSound(root: string, name: string): boolean {
  const copy = path.join(copiesDir(root), name);
  try {
    return pageDamage(copy) === null && !hasDamagedRow(copy);
  } catch {
    return false;
  }
}
