/**
 * Directories in which backups are put together or taken apart: `<root>/backup/N`. Each is locked for as long as its process lives;
 * what a process that was killed left is removed by the next one.
 */
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { removeDelta } from '../../driver/delta/remove-delta.ts';
import { LockFile } from '../../native/lock-file.ts';
import { backupDir } from '../../store/store.ts';

const LOCK = '.lock';

/** One process's directory. */
export class Workplace {
  readonly path: string;
  private readonly lock: LockFile;

  /** @param id a number that no other process has: of an env that does not exist */
  constructor(root: string, id: number) {
    mkdirSync(backupDir(root), { recursive: true, mode: 0o700 });
    sweepWorkplaces(root);
    this.path = path.join(backupDir(root), String(id));
    this.lock = new LockFile(this.path + LOCK);
    if (!this.lock.try('exclusive')) throw new Error(`${this.path} is in use`);
  }

  /** Makes it an empty directory. */
  make(): void {
    mkdirSync(this.path, { mode: 0o700 });
  }

  /** Makes it of a directory on the same file system. */
  take(directory: string): void {
    renameSync(directory, this.path);
  }

  /** Removes it, with all that is in it. */
  remove(): void {
    removeDelta(this.path);
    rmSync(this.path + LOCK, { force: true });
    this.lock.release();
  }
}

/** Removes what processes left that were killed. */
export function sweepWorkplaces(root: string): void {
  let names: string[];
  try {
    names = readdirSync(backupDir(root));
  } catch {
    return;
  }
  for (const name of names) {
    const place = path.join(backupDir(root), name.replace(LOCK, ''));
    const lock = new LockFile(place + LOCK);
    if (lock.try('exclusive')) {
      removeDelta(place);
      rmSync(place + LOCK, { force: true });
    }
    lock.release();
  }
}
