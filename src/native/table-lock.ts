/**
 * Sees to it that LMDB's lock file takes no space while it is in use. LMDB maps `lock.mdb`, beside its data, and stores to
 * the mapping whenever something is read or written; a store that needs a block, on a disk that has none left, ends the
 * process (SIGBUS).
 *
 * On a file system that writes in place it is enough that the file has all its blocks. One that writes each block to a new
 * place (Btrfs) needs one for a store to any file, so there `lock.mdb` is a symlink to a file in memory, in the run
 * directory or below /dev/shm. The root itself says where: processes with different run directories, and older byrefs, follow the same link.
 */
import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { EMFILE, ENOSPC } from '../base/errno.ts';
import { ByrefError } from '../base/error.ts';
import { keptDescriptors } from '../base/kept-descriptors.ts';
import { O_CLOEXEC, O_CREAT, O_RDWR } from '../base/mode.ts';
import { isNoSpace } from '../base/no-space.ts';
import { runPlace } from '../base/run-place.ts';
import { AT_FDCWD, native, STAT, STAT_SLOTS, STATFS_SLOTS } from './binding.ts';
import { boundTexts } from './failed-writes.ts';
import { openFile } from './open-file.ts';
import { type Closable, guarded } from './table-guard.ts';

const DATA = 'data.mdb';
const LOCK = 'lock.mdb';
/** The link while it is made. A crash leaves it, and the next process that makes one replaces it. */
const NEW_LOCK = 'lock.mdb.new';
/** The directory below the run directory for the lock files of all roots. */
const LOCKS = 'table-locks';

/** File systems (statfs f_type) on which a block of a file stays where it is: ext4, XFS, and those in memory. */
const IN_MEMORY: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);
const IN_PLACE: ReadonlySet<number> = new Set([0xef53, 0x58465342, ...IN_MEMORY]);

const LOCK_EX = 2;
/** The unit of st_blocks, in bytes. */
const BLOCK = 512;
const OPEN_TO_OTHERS = 0o022;
/** What readlink(2) says of what is no symlink. */
const NO_LINK: ReadonlySet<string> = new Set(['EINVAL', 'ENOENT', 'ENOTDIR']);

const stat = new Float64Array(STAT_SLOTS);
const statfs = new Float64Array(STATFS_SLOTS);

/**
 * Opens LMDB's tables in a directory, and sees to their lock file first. Nobody else does so for this directory until `open`
 * has returned. They are closed with closeTables().
 * @param bytes how large the lock file is to be: at least what LMDB needs for its readers
 * @throws ByrefError 'noSpace' if the lock file can't get its place; what `open` throws
 */
export function openTablesIn<T extends Closable>(dir: string, bytes: number, open: () => T): T {
  boundTexts();
  const fd = openFile(AT_FDCWD, dir, O_CLOEXEC, 0);
  // LMDB says what is wrong with the directory.
  if (fd < 0 || native.statfsFd(fd, statfs) < 0) return open();
  try {
    native.flock(fd, LOCK_EX);
    const fileSystem = `${statfs[8]!.toString(16)}${statfs[9]!.toString(16)}`;
    if (IN_PLACE.has(statfs[6]!)) reserve(path.join(dir, LOCK), bytes);
    else placeInMemory(dir, fileSystem, bytes);
    return guarded(path.join(dir, LOCK), () => withDescriptors(open));
  } catch (cause) {
    throw isNoSpace(cause) && !(cause instanceof ByrefError) ? noSpace(dir, cause) : cause;
  } finally {
    native.close(fd);
  }
}

/** Opens again as long as the process may have too few files open, and some are given back. */
function withDescriptors<T>(open: () => T): T {
  for (;;) {
    try {
      return open();
    } catch (error) {
      const isOut = [EMFILE, 'EMFILE'].includes((error as { code?: string | number }).code ?? '');
      if (!isOut || !keptDescriptors.giveBack()) throw error;
    }
  }
}

const noSpace = (dir: string, cause?: unknown): ByrefError =>
  new ByrefError(
    'noSpace',
    `no space left on the device of ${dir}`,
    'Free some space, then run this again.',
    { cause },
  );

/** Removes the lock file of tables that are about to be removed, if it is elsewhere. */
export function removeTableLock(dir: string): void {
  const target = linkTarget(path.join(dir, LOCK));
  if (target !== null && path.basename(path.dirname(target)) === LOCKS)
    rmSync(target, { force: true });
}

/**
 * Gives the file all of its blocks, and makes it if there is none; changes none of its bytes, since others may have it
 * mapped. Where it can't be written, LMDB says so, or does without.
 * @throws ByrefError 'noSpace'
 */
function reserve(file: string, bytes: number): void {
  const there = lstatSync(file, { throwIfNoEntry: false });
  // Opening and closing it takes LMDB's lock away from other threads of this process: only if something is missing.
  if (there !== undefined && there.size >= bytes && there.blocks * BLOCK >= there.size) return;
  const fd = native.openAt(AT_FDCWD, file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
  const result = fd < 0 ? fd : native.fallocate(fd, 0, 0, Math.max(bytes, there?.size ?? 0));
  if (fd >= 0) native.close(fd);
  if (result === -ENOSPC) throw noSpace(path.dirname(file));
}

/** Makes `lock.mdb` a link to a file in memory, unless it is one, or processes use the file that is there. */
function placeInMemory(dir: string, fileSystem: string, bytes: number): void {
  const lock = path.join(dir, LOCK);
  const name = `${fileSystem}-${identity(path.join(dir, DATA))}`;
  const target = linkTarget(lock);
  if (target !== null && path.basename(target) === name && isSafe(path.dirname(target))) {
    makeFile(target, bytes);
    return;
  }
  // A link of another name came with a copy of the directory: the file that it leads to is that of the original.
  if (target === null && isInUse(lock)) return;
  const locks = placeOfLocks();
  if (locks === null) {
    if (target !== null) rmSync(lock);
    reserve(lock, bytes);
    return;
  }
  makeFile(path.join(locks, name), bytes);
  rmSync(path.join(dir, NEW_LOCK), { force: true });
  symlinkSync(path.join(locks, name), path.join(dir, NEW_LOCK));
  renameSync(path.join(dir, NEW_LOCK), lock);
}

/** Makes the directory for lock files; null if there is no place for it in memory. */
function placeOfLocks(): string | null {
  for (const place of [runPlace(), `/dev/shm/byref-${process.geteuid?.()}`]) {
    const locks = path.join(place, LOCKS);
    try {
      mkdirSync(locks, { recursive: true, mode: 0o700 });
    } catch {
      continue;
    }
    if (isSafe(place) && isSafe(locks)) return locks;
  }
  return null;
}

/** Returns what tells this file from each of its copies; makes it, empty, if there is none. */
function identity(data: string): string {
  closeSync(openSync(data, O_RDWR | O_CREAT | O_CLOEXEC, 0o600));
  native.statAt(AT_FDCWD, data, stat, 0);
  const born = `${stat[STAT.btime]!.toString(16)}.${stat[STAT.btimeNs]!.toString(16)}`;
  return `${stat[STAT.ino]!.toString(16)}-${born}`;
}

function makeFile(file: string, bytes: number): void {
  if (statSync(file, { throwIfNoEntry: false }) !== undefined) return;
  // Whole before it has its name: LMDB takes the size that it finds.
  const part = `${file}.new`;
  writeFileSync(part, Buffer.alloc(bytes), { mode: 0o600 });
  renameSync(part, file);
}

/** Returns true for a directory in memory that only we can write to. */
function isSafe(dir: string): boolean {
  const there = lstatSync(dir, { throwIfNoEntry: false });
  if (there === undefined || !there.isDirectory()) return false;
  if (there.uid !== process.geteuid?.() || (there.mode & OPEN_TO_OTHERS) !== 0) return false;
  const fd = native.openAt(AT_FDCWD, dir, O_CLOEXEC, 0);
  if (fd < 0) return false;
  const isInMemory = native.statfsFd(fd, statfs) === 0 && IN_MEMORY.has(statfs[6]!);
  native.close(fd);
  return isInMemory;
}

/** Returns where a symlink leads; null if it is none. */
function linkTarget(file: string): string | null {
  try {
    return readlinkSync(file);
  } catch (error) {
    // It is something else, or not there, or its directory is none: as with the files that stand beside directories of tables.
    if (NO_LINK.has((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

/** Returns true if any process, this one included, has the tables in this directory open. */
export const tablesAreInUse = (dir: string): boolean => isInUse(path.join(dir, LOCK));

/**
 * Returns true if LMDB has the file open in any process: each user of it keeps a lock on its first byte. The list of locks
 * is read, since to try a lock would take away the one that this process may have. It names the inode, and a device that on
 * Btrfs is not the one that stat(2) shows: a lock on an inode of the same number elsewhere counts, too.
 */
function isInUse(file: string): boolean {
  const there = statSync(file, { throwIfNoEntry: false });
  if (there === undefined) return false;
  const mark = `:${there.ino} `;
  return readFileSync('/proc/locks', 'latin1')
    .split('\n')
    .some((line) => line.includes(' POSIX ') && line.includes(mark));
}
