/**
 * Sets space aside in a root, so that `byref gc` has what it needs to free some on a full disk: rows can be removed only by
 * writing others. Some more is for envs that have not set aside anything themselves: driver/delta/room.ts.
 */
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { native } from '../native/binding.ts';
import { syncFileSystem } from '../native/sync-file-system.ts';

/** The directory in a root. What is in its files means nothing: only the space and the inodes that they take count. */
export const RESERVE = 'reserve';
const BYTES = 'bytes';
const FOR_ENVS = 'envs';
/** Empty files, for what gc makes while it works: a directory, a list in it. */
const INODES = ['inode-1', 'inode-2', 'inode-3', 'inode-4'];

/** A file with long attributes: Btrfs has space of its own for what is not a file's bytes. */
const RECORDS = 'records';
const BTRFS = 0x9123683e;
const ATTRIBUTES = 200;
const ATTRIBUTE_BYTES = 15_000;

const POLL_MS = 10;
/** How often to look whether what was given up is free: others may take it as soon as it is. */
const FREED_POLLS = 200;

const MIB = 2 ** 20;
/** A transaction writes each page that it changes anew: at most as many as the tables have. */
const BYTES_MIN = 4 * MIB;
const BYTES_MAX = 64 * MIB;
/** The most of a disk that is set aside. */
const PART_OF_DISK = 1 / 64;
/** Enough for the first table of an env, and its journal. */
const FOR_ENVS_MIN = MIB;
const FOR_ENVS_MAX = 8 * MIB;
/** Only a disk with this many times as much free space gives some up. */
const ROOM = 4;

/** Sets space and inodes aside if there is room for them, and not enough are set aside yet. Never fails. */
export function keepReserve(root: string): void {
  const directory = path.join(root, RESERVE);
  const { bavail, blocks, bsize, type } = statfsSync(root);
  const bytes = Math.min(wanted(root), Math.floor(blocks * bsize * PART_OF_DISK));
  const forEnvs = Math.min(Math.max(bytes / 2, FOR_ENVS_MIN), FOR_ENVS_MAX);
  const lacks = (name: string, size: number) => sizeOf(path.join(directory, name)) < size / 2;
  if (!lacks(BYTES, bytes) && !lacks(FOR_ENVS, forEnvs)) return;
  if (bavail * bsize < (bytes + forEnvs) * ROOM) return;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const name of INODES) writeFileSync(path.join(directory, name), '');
    if (type === BTRFS) makeRecords(path.join(directory, RECORDS));
    const isSetAside =
      setAside(path.join(directory, BYTES), bytes) &&
      setAside(path.join(directory, FOR_ENVS), forEnvs);
    if (!isSetAside) rmSync(directory, { recursive: true });
  } catch {
    // The disk is full of something else than bytes, or can't be written to.
  }
}

function setAside(file: string, bytes: number): boolean {
  const fd = openSync(file, 'w', 0o600);
  const failed = native.fallocate(fd, 0, 0, Math.floor(bytes));
  closeSync(fd);
  return failed >= 0;
}

/**
 * Gives up to `bytes` of what is set aside for envs, for one of them that takes them at once. Returns false if nothing of it is left. It is
 * set aside again when there is room.
 */
export function giveToEnv(root: string, bytes: number): boolean {
  const file = path.join(root, RESERVE, FOR_ENVS);
  const has = sizeOf(file);
  if (has === 0) return false;
  truncateSync(file, Math.max(0, has - bytes));
  return true;
}

const sizeOf = (file: string): number => lstatSync(file, { throwIfNoEntry: false })?.size ?? 0;

function makeRecords(file: string): void {
  writeFileSync(file, '');
  const value = Buffer.alloc(ATTRIBUTE_BYTES);
  for (let i = 0; i < ATTRIBUTES; i++)
    if (native.setXattr(file, `user.byref.${i}`, value, value.length) < 0) return;
}

/** Gives up what is set aside if the disk has less than that: see giveUpReserve(). */
export async function giveUpIfNeeded(root: string): Promise<void> {
  const { bavail, bsize, files, ffree } = statfsSync(root);
  const isShort = bavail * bsize < BYTES_MIN || (files > 0 && ffree < INODES.length);
  if (isShort) await giveUpReserve(root);
}

/** Gives up what is set aside, and resolves when it can be used. Returns false if nothing was. */
export async function giveUpReserve(root: string): Promise<boolean> {
  const directory = path.join(root, RESERVE);
  if (!existsSync(directory)) return false;
  const before = freeBytes(root);
  const bytes = sizeOf(path.join(directory, BYTES));
  rmSync(directory, { recursive: true });
  // What is removed is free on some file systems only when that is on disk.
  await syncFileSystem(root);
  // XFS frees it a little later.
  for (let i = 0; i < FREED_POLLS && freeBytes(root) < before + bytes / 2; i++)
    await sleep(POLL_MS);
  return true;
}

function freeBytes(root: string): number {
  const { bavail, bsize } = statfsSync(root);
  return bavail * bsize;
}

function wanted(root: string): number {
  const { size } = lstatSync(path.join(root, 'meta', 'data.mdb'));
  return Math.min(BYTES_MAX, Math.max(BYTES_MIN, size));
}
