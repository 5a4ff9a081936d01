import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ObjectId, PRIVATE_INO_BASE, ROOT_INO } from '../../src/base/ids.ts';
import { DATA_OBJECT, DATA_PRIVATE, FLAG_UNSYNCED } from '../../src/codec/inode-record.ts';
import type { EnvDelta } from '../../src/delta/env-delta.ts';
import { createFile, ino, inode, name, objectOf, open, removeDir, scratchDir } from './support.ts';

/** A power cut: the files as they were, less what the test takes away, under another boot id. */
let root: string;
let dir: string;
let after: string;
beforeEach(() => {
  root = scratchDir();
  dir = path.join(root, 'env');
  after = path.join(root, 'after');
  mkdirSync(dir);
});
afterEach(() => {
  removeDir(root);
  delete process.env.BYREF_BOOT_ID;
});

async function cut(delta: EnvDelta, boot = 'b'.repeat(32)): Promise<EnvDelta> {
  cpSync(dir, after, { recursive: true });
  await delta.close();
  process.env.BYREF_BOOT_ID = boot;
  return open(after);
}

const privatePath = (number: number) => path.join(after, 'private', number.toString(16));

async function copyUp(delta: EnvDelta, number: number, id: ObjectId): Promise<void> {
  expect(await delta.files.copyUp(id, ino(number), 3000, () => false)).toBe(0);
  const fields = { data: DATA_PRIVATE, flags: FLAG_UNSYNCED, object: id, size: 9, uid: 5 };
  delta.begin().setInode(inode(number, fields));
  expect(delta.commit()).toBe(0);
}

function object(): ObjectId {
  const file = path.join(root, 'object');
  writeFileSync(file, Buffer.alloc(3000, 'object'));
  return objectOf(file);
}

test.each([false, true])(
  'an un-synced copy goes back to its object (record checkpointed: %s)',
  async (moved) => {
    let delta = await open(dir);
    const id = object();
    await copyUp(delta, 7, id);
    // Only a checkpoint that runs while the copy is made can have such a record.
    if (moved) {
      const done = delta.checkpoint();
      await copyUp(delta, 8, id);
      await done;
    }
    const number = moved ? 8 : 7;
    delta = await cut(delta);
    expect(delta.inode(ino(number))).toMatchObject({
      data: DATA_OBJECT,
      object: id,
      flags: 0,
      size: 3000,
      blocks: statSync(path.join(root, 'object')).blocks,
      uid: 5,
    });
    expect(await delta.flush()).toBe(0);
    await expect.poll(() => existsSync(privatePath(number))).toBe(false);
    await delta.close();
  },
);

test('a killed process, without a power cut, keeps its un-synced copy', async () => {
  const before = await open(dir);
  await copyUp(before, 7, object());
  cpSync(dir, after, { recursive: true });
  await before.close();
  const delta = await open(after);
  expect(delta.inode(ino(7))).toMatchObject({ data: DATA_PRIVATE, flags: FLAG_UNSYNCED });
  await delta.close();
});

test('a copy made after the boot survives a kill, though the journal of before is still there', async () => {
  let delta = await open(dir);
  createFile(delta, ROOT_INO, 'before');
  delta = await cut(delta);
  await copyUp(delta, 7, object());
  const third = path.join(root, 'third');
  cpSync(after, third, { recursive: true });
  await delta.close();
  delta = await open(third);
  expect(delta.inode(ino(7))).toMatchObject({ data: DATA_PRIVATE });
  await delta.close();
});

test('a synced copy stays', async () => {
  let delta = await open(dir);
  await copyUp(delta, 7, object());
  await delta.checkpoint();
  delta = await cut(delta);
  expect(delta.inode(ino(7))).toMatchObject({ data: DATA_PRIVATE, object: '', flags: 0 });
  expect(readFileSync(privatePath(7)).length).toBe(3000);
  await delta.close();
});

test('a file that is in the journal, and not in the directory, is empty', async () => {
  let delta = await open(dir);
  const number = createFile(delta, ROOT_INO, 'file');
  rmSync(path.join(dir, 'private', number.toString(16)));
  delta = await cut(delta);
  expect(delta.name(ROOT_INO, name('file'))).toMatchObject({ ino: number });
  expect(statSync(privatePath(number)).size).toBe(0);
  await delta.close();
});

test('numbers seen before the power cut are not given out again', async () => {
  let delta = await open(dir);
  for (let i = 0; i < 5000; i++) delta.allocate();
  const last = createFile(delta, ROOT_INO, 'file');
  delta = await cut(delta);
  expect(delta.allocate()).toBeGreaterThan(last + 1_000_000);
  expect(delta.allocate()).toBeLessThan(PRIVATE_INO_BASE * 2);
  await delta.close();
});
