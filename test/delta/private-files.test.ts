import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EINTR, ENOENT } from '../../src/base/errno.ts';
import { type ObjectId, ROOT_INO } from '../../src/base/ids.ts';
import { O_RDONLY, O_RDWR } from '../../src/base/mode.ts';
import { DATA_PRIVATE, FLAG_UNSYNCED } from '../../src/codec/inode-record.ts';
import type { BlobStat } from '../../src/driver/core/ports.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { privateUsage } from '../../src/driver/delta/read-delta.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { createFile, ino, inode, name, objectOf, open } from './open-env.ts';

let dir: string;
let delta: EnvDelta;
beforeEach(async () => {
  dir = newDir();
  delta = await open(dir);
});
afterEach(async () => {
  await delta.close();
  removeDir(dir);
});

const neverInterrupted = () => false;
const privatePath = (number: number) => path.join(dir, 'private', number.toString(16));
const digest = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

/** An object of `size` bytes, with a hole of `hole` bytes after the first half. */
function object(size: number, hole = 0): { id: ObjectId; file: string } {
  const file = path.join(dir, `object-${size}-${hole}`);
  const fd = openSync(file, 'w');
  const half = Buffer.alloc(size >> 1, 'abcdefghijklm');
  writeSync(fd, half, 0, half.length, 0);
  writeSync(fd, half, 0, half.length, half.length + hole);
  ftruncateSync(fd, size + hole);
  closeSync(fd);
  return { id: objectOf(file), file };
}

function blobStat(): BlobStat {
  return { size: 0, blocks: 0, atime: 0, atimeNs: 0, mtime: 0, mtimeNs: 0, ctime: 0, ctimeNs: 0 };
}

test('create, stat, open, remove', async () => {
  const { files } = delta;
  expect(files.openPrivate(ino(42), O_RDONLY)).toBe(-ENOENT);
  const fd = files.createPrivate(ino(42));
  expect(fd).toBeGreaterThan(0);
  writeSync(fd, 'hello');
  files.close(fd);
  const stat = blobStat();
  expect(files.statPrivate(ino(42), stat)).toBe(0);
  const real = statSync(privatePath(42), { bigint: true });
  expect(stat.size).toBe(5);
  expect(BigInt(stat.mtime) * 1_000_000_000n + BigInt(stat.mtimeNs)).toBe(real.mtimeNs);
  expect(Number(real.mode) & 0o7777).toBe(0o600);
  const again = files.createPrivate(ino(42));
  expect(files.statPrivate(ino(42), stat)).toBe(0);
  expect(stat.size).toBe(0);
  files.close(again);
  expect(files.removePrivate(ino(42))).toBe(0);
  expect(files.statPrivate(ino(42), stat)).toBe(-ENOENT);
});

test.each([
  [0, 0],
  [1, 0],
  [4096, 0],
  [128 * 1024, 0],
  [40_000, 50_000],
  [128 * 1024 + 1, 0],
  [1 << 20, 3 << 20],
  [9 << 20, 1 << 20],
])('copy-up of %d bytes with a hole of %d', async (size, hole) => {
  const { id, file } = object(size, hole);
  const length = statSync(file).size;
  const result = delta.files.copyUp(id, ino(7), length, neverInterrupted);
  expect(typeof result).toBe(length <= 128 * 1024 ? 'number' : 'object');
  expect(await result).toBe(0);
  expect(digest(privatePath(7))).toBe(digest(file));
  expect(statSync(privatePath(7)).blocks).toBeLessThanOrEqual(statSync(file).blocks + 16);
});

test('copy-up of a beginning only', async () => {
  for (const length of [0, 1, 5000, 200_000]) {
    const { id, file } = object(1 << 20);
    expect(await delta.files.copyUp(id, ino(7), length, neverInterrupted)).toBe(0);
    expect(readFileSync(privatePath(7))).toEqual(readFileSync(file).subarray(0, length));
  }
});

test('an interrupted copy-up leaves nothing', async () => {
  let calls = 0;
  const { id } = object(32 << 20);
  const result = await delta.files.copyUp(id, ino(7), 32 << 20, () => ++calls === 3);
  expect(result).toBe(-EINTR);
  expect(existsSync(privatePath(7))).toBe(false);
  expect(delta.files.copyUp('0'.repeat(64) as ObjectId, ino(8), 1, neverInterrupted)).toBe(-ENOENT);
});

test('no descriptor is left open', async () => {
  const open = () => readdirSync('/proc/self/fd').length;
  const { id } = object(300_000);
  await delta.files.copyUp(id, ino(6), 300_000, neverInterrupted);
  const before = open();
  for (let i = 0; i < 20; i++) {
    await delta.files.copyUp(id, ino(7), i * 10_000, neverInterrupted);
    await delta.files.copyUp(id, ino(7), 300_000, () => true);
    delta.files.statPrivate(ino(7), blobStat());
    delta.files.space({ bsize: 0, blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0 });
  }
  expect(open()).toBe(before);
});

test('bytes that a durable record names go only when the change that forgot them is durable', async () => {
  const old = createFile(delta, ROOT_INO, 'old');
  expect(await delta.flush()).toBe(0);
  const young = createFile(delta, ROOT_INO, 'young');
  const change = delta.begin();
  for (const number of [old, young]) change.clearInode(number);
  expect(delta.commit()).toBe(0);
  expect(delta.files.removePrivate(old)).toBe(0);
  expect(delta.files.removePrivate(young)).toBe(0);
  expect(existsSync(privatePath(young))).toBe(false);
  expect(existsSync(privatePath(old))).toBe(true);
  expect(await delta.flush()).toBe(0);
  await expect.poll(() => existsSync(privatePath(old))).toBe(false);
});

test('an ino that is copied up again while its old file waits for removal keeps the new one', async () => {
  const { id, file } = object(5000);
  const copy = async (): Promise<void> => {
    expect(await delta.files.copyUp(id, ino(7), 5000, neverInterrupted)).toBe(0);
    delta.begin().setInode(inode(7, { data: DATA_PRIVATE, flags: FLAG_UNSYNCED, object: id }));
    expect(delta.commit()).toBe(0);
  };
  await copy();
  expect(await delta.flush()).toBe(0);
  delta.begin().clearInode(ino(7));
  expect(delta.commit()).toBe(0);
  expect(delta.files.removePrivate(ino(7))).toBe(0);
  await copy();
  expect(await delta.flush()).toBe(0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(digest(privatePath(7))).toBe(digest(file));
});

test('an un-synced copy loses its flag, and its object, at the next checkpoint or fsync', async () => {
  for (const [number, how] of [
    [7, 'checkpoint'],
    [8, 'fsync'],
  ] as const) {
    const { id } = object(5000);
    await delta.files.copyUp(id, ino(number), 5000, neverInterrupted);
    delta.begin().setInode(inode(number, { data: DATA_PRIVATE, flags: FLAG_UNSYNCED, object: id }));
    delta.commit();
    if (how === 'checkpoint') await delta.checkpoint();
    else {
      const fd = delta.files.openPrivate(ino(number), O_RDWR);
      expect(await delta.syncFile(ino(number), fd)).toBe(0);
      delta.files.close(fd);
      expect(delta.dirty).toBe(false);
    }
    expect(delta.inode(ino(number))).toMatchObject({ flags: 0, object: '' });
  }
});

test('usage counts blocks, not sizes', async () => {
  const { id, file } = object(20_000, 1 << 20);
  await delta.files.copyUp(id, ino(7), statSync(file).size, neverInterrupted);
  const { privateBytes, privateFiles } = privateUsage(dir);
  const du = execFileSync('du', ['--block-size=1', privatePath(7)]).toString();
  expect(privateBytes).toBe(Number.parseInt(du, 10));
  expect(privateFiles).toBe(1);
});

test('files that no record names are swept after a crash, and only then', async () => {
  const kept = createFile(delta, ROOT_INO, 'kept');
  const orphan = createFile(delta, ROOT_INO, 'orphan');
  const change = delta.begin();
  change.clearName(ROOT_INO, name('orphan'));
  change.setInode(inode(orphan, { data: DATA_PRIVATE, nlink: 0 }));
  delta.commit();
  await delta.close();
  writeFileSync(privatePath(0x999), 'left over');

  delta = await open(dir);
  await delta.flush();
  const names = () =>
    readdirSync(path.join(dir, 'private')).map((text) => Number.parseInt(text, 16));
  await expect.poll(names).not.toContain(orphan);
  expect(names()).toContain(kept);
  expect(names()).toContain(0x999);
  expect(delta.orphans()).toEqual([]);
  expect(delta.inode(orphan)).toBeNull();
  await delta.close();

  writeFileSync(path.join(dir, 'lock'), 'pid 1\n');
  delta = await open(dir);
  await delta.close();
  expect(names()).toEqual([kept]);
});
