/** A delta that is held: what a copy as of that moment needs stays on disk. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ROOT_INO } from '../../src/base/ids.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { createFile, name, open } from './open-env.ts';

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

const isThere = (ino: number): boolean => existsSync(path.join(dir, 'private', ino.toString(16)));

function remove(ino: ReturnType<typeof createFile>, text: string): void {
  const change = delta.begin();
  change.clearName(ROOT_INO, name(text));
  change.clearInode(ino);
  expect(delta.commit()).toBe(0);
  expect(delta.files.removePrivate(ino)).toBe(0);
}

test('no private file is removed, however new it is, until it is released', async () => {
  const old = createFile(delta, ROOT_INO, 'old');
  await delta.flush();
  const fresh = createFile(delta, ROOT_INO, 'fresh');
  const held = await delta.hold();
  remove(old, 'old');
  remove(fresh, 'fresh');
  await delta.flush();
  // Nor for an operation that finds the disk full.
  expect(delta.files.reclaim()).toBe(false);
  expect([isThere(old), isThere(fresh)]).toEqual([true, true]);
  held.release();
  await delta.quiesce();
  expect([isThere(old), isThere(fresh)]).toEqual([false, false]);
});

test('what is made and removed meanwhile leaves nothing', async () => {
  const held = await delta.hold();
  const ino = createFile(delta, ROOT_INO, 'new');
  remove(ino, 'new');
  expect(isThere(ino)).toBe(false);
  held.release();
});

test('the journal begins as it was, and no checkpoint is made, until it is released', async () => {
  createFile(delta, ROOT_INO, 'before');
  const held = await delta.hold();
  const [segment, ...others] = held.journal;
  expect(others).toEqual([]);
  const file = path.join(dir, segment!.name);
  const before = readFileSync(file).subarray(0, segment!.length);
  createFile(delta, ROOT_INO, 'after');
  let isDone = false;
  const checkpoint = delta.checkpoint().then(() => {
    isDone = true;
  });
  await delta.flush();
  expect(isDone).toBe(false);
  expect(existsSync(path.join(dir, 'link'))).toBe(false);
  expect(statSync(file).size).toBeGreaterThan(segment!.length);
  expect(readFileSync(file).subarray(0, segment!.length)).toEqual(before);
  held.release();
  await checkpoint;
  expect(readdirSync(path.join(dir, 'link'))).toContain('data.mdb');
});

test('one hold waits for the end of another', async () => {
  const first = await delta.hold();
  let isHeld = false;
  const second = delta.hold().then((held) => {
    isHeld = true;
    return held;
  });
  await delta.flush();
  expect(isHeld).toBe(false);
  first.release();
  (await second).release();
});
