/**
 * Keeps the mutexes in LMDB's lock file alive. The process that closes tables as the last one destroys them, and one that opens
 * the tables at that moment may take them as they are: from then on LMDB says EINVAL to all, until nobody has the tables
 * open (measured with lmdb 3.5.6: four processes that open and close meet it within seconds). LMDB takes itself for the last
 * one if nobody else has a lock on the first byte of the lock file. So each process that has tables open keeps a second lock
 * there, which belongs to an open file, and goes after LMDB's own, however the process ends.
 */
import { statSync } from 'node:fs';
import { O_CLOEXEC } from '../base/mode.ts';
import { AT_FDCWD, native } from './binding.ts';
import { openFile } from './open-file.ts';

/** What LMDB returns for tables that it opened. */
export interface Closable {
  close(): Promise<void>;
}

interface Guard {
  /** The lock file's device and inode. */
  readonly file: string;
  readonly fd: number;
  /** How often this process has the tables open. */
  users: number;
}

const guards = new Map<string, Guard>();
const guardOf = new WeakMap<Closable, Guard>();

/** Opens tables, and guards their lock file, which is there, until closeTables(). Throws what `open` throws. */
export function guarded<T extends Closable>(lockFile: string, open: () => T): T {
  const guard = guardFor(lockFile);
  // LMDB does without a lock file on a read-only file system.
  if (guard === null) return open();
  guard.users++;
  try {
    const tables = open();
    native.lockFirstByte(guard.fd);
    guardOf.set(tables, guard);
    return tables;
  } catch (error) {
    release(guard);
    throw error;
  }
}

/** Closes tables that were opened with openTablesIn(). */
export async function closeTables(tables: Closable): Promise<void> {
  await tables.close();
  const guard = guardOf.get(tables);
  if (guard !== undefined) release(guard);
}

/** The process has one open file for each lock file: to close a second one would take LMDB's own locks away. */
function guardFor(lockFile: string): Guard | null {
  const there = statSync(lockFile, { bigint: true, throwIfNoEntry: false });
  if (there === undefined) return null;
  const file = `${there.dev}:${there.ino}`;
  const known = guards.get(file);
  if (known !== undefined) return known;
  const fd = openFile(AT_FDCWD, lockFile, O_CLOEXEC, 0);
  if (fd < 0) return null;
  const guard = { file, fd, users: 0 };
  guards.set(file, guard);
  return guard;
}

function release(guard: Guard): void {
  if (--guard.users > 0) return;
  guards.delete(guard.file);
  native.close(guard.fd);
}
