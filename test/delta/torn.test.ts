import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EROFS } from '../../src/base/errno.ts';
import { ROOT_INO } from '../../src/base/ids.ts';
import { S_IFREG } from '../../src/base/mode.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { SEGMENT_HEADER_SIZE } from '../../src/driver/delta/journal-format.ts';
import { readDelta } from '../../src/driver/delta/read-delta.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { ino, inode, name, open } from './open-env.ts';

const CHANGES = 12;
let root: string;
let dir: string;
beforeEach(() => {
  root = newDir();
  dir = path.join(root, 'env');
  mkdirSync(dir);
});
afterEach(() => {
  removeDir(root);
  delete process.env.BYREF_BOOT_ID;
});

const journal = (at: string): string => {
  const file = readdirSync(at).find((each) => each.startsWith('journal.'));
  return path.join(at, file ?? 'no journal');
};

function commitNames(delta: EnvDelta, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    delta.begin().setName(ROOT_INO, name(`n${i}`), ino(100 + i), S_IFREG);
    expect(delta.commit()).toBe(0);
  }
}

/** How many of n0, n1, ... there are; fails if they are not a prefix. */
function prefix(has: (index: number) => boolean): number {
  let count = 0;
  while (has(count)) count++;
  for (let i = count; i < CHANGES; i++) expect(has(i)).toBe(false);
  return count;
}

/** A journal of some changes, left as by kill -9, in a directory of its own; ends of its records. */
async function crashed(flushAfter = -1): Promise<{ copy: string; ends: number[] }> {
  const delta = await open(dir);
  const ends: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    commitNames(delta, i, i + 1);
    ends.push(statSync(journal(dir)).size);
    if (i === flushAfter) expect(await delta.flush()).toBe(0);
  }
  const copy = path.join(root, 'copy');
  cpSync(dir, copy, { recursive: true });
  await delta.close();
  return { copy, ends };
}

test('a journal cut at any byte yields the changes whose records are whole', async () => {
  const { copy, ends } = await crashed();
  const file = journal(copy);
  const bytes = readFileSync(file);
  for (let length = bytes.length; length >= 0; length--) {
    writeFileSync(file, bytes.subarray(0, length));
    const expected = ends.filter((end) => end <= length).length;
    const view = await readDelta(copy);
    const there = new Set([...view.changedNames()].map((entry) => entry.name));
    expect(prefix((i) => there.has(name(`n${i}`)))).toBe(expected);
    // A segment that a kill leaves has a header, once it is the last one that the lock file knows of.
    if (length < SEGMENT_HEADER_SIZE) expect(view.damage).toMatch(/is gone, or empty/);
    else expect(view.damage).toBeNull();
    await view.close();
  }
});

test('after a cut the env goes on, and what it commits then survives another crash', async () => {
  const { copy, ends } = await crashed();
  const whole = path.join(root, 'whole');
  for (let at = ends[8]!; at <= ends[9]!; at += 5) {
    removeDir(whole);
    cpSync(copy, whole, { recursive: true });
    truncateSync(journal(whole), at);
    let delta = await open(whole);
    expect(delta.readOnly).toBeNull();
    expect(prefix((i) => delta.name(ROOT_INO, name(`n${i}`)) !== null)).toBe(
      at === ends[9] ? 10 : 9,
    );
    commitNames(delta, 9, CHANGES);
    const second = path.join(root, 'second');
    removeDir(second);
    cpSync(whole, second, { recursive: true });
    await delta.close();
    delta = await open(second);
    expect(prefix((i) => delta.name(ROOT_INO, name(`n${i}`)) !== null)).toBe(CHANGES);
    await delta.close();
  }
});

test('a damaged record with whole ones after it makes the env read-only', async () => {
  const { copy, ends } = await crashed();
  const file = journal(copy);
  const bytes = readFileSync(file);
  bytes[ends[4]! + 30]! ^= 1;
  writeFileSync(file, bytes);
  const errors: string[] = [];
  const delta = await open(copy, { onError: (error) => errors.push(error.message) });
  expect(delta.readOnly).toContain('change 6 is lost');
  expect(errors[0]).toContain('read-only');
  expect(prefix((i) => delta.name(ROOT_INO, name(`n${i}`)) !== null)).toBe(5);
  delta.begin().setName(ROOT_INO, name('x'), ino(9), S_IFREG);
  expect(delta.commit()).toBe(-EROFS);
  await delta.close();
  // Nothing was repaired: whoever looks at it later finds what there was.
  expect(readFileSync(file)).toEqual(bytes);
});

test('a damaged last record can not be told from a torn one', async () => {
  const { copy, ends } = await crashed();
  const file = journal(copy);
  const bytes = readFileSync(file);
  bytes[ends.at(-2)! + 30]! ^= 1;
  writeFileSync(file, bytes);
  const delta = await open(copy);
  expect(delta.readOnly).toBeNull();
  expect(prefix((i) => delta.name(ROOT_INO, name(`n${i}`)) !== null)).toBe(CHANGES - 1);
  await delta.close();
});

test('after a power cut, pages that came to disk out of order are a torn end', async () => {
  const { copy, ends } = await crashed();
  const file = journal(copy);
  const bytes = readFileSync(file);
  bytes.fill(0, ends[4], ends[6]);
  writeFileSync(file, bytes);
  process.env.BYREF_BOOT_ID = 'f'.repeat(32);
  const delta = await open(copy);
  expect(delta.readOnly).toBeNull();
  expect(prefix((i) => delta.name(ROOT_INO, name(`n${i}`)) !== null)).toBe(5);
  await delta.close();
});

test('after a power cut, a hole in what a later record knew to be on disk is damage', async () => {
  const { copy, ends } = await crashed(8);
  const file = journal(copy);
  const bytes = readFileSync(file);
  bytes.fill(0, ends[4], ends[6]);
  writeFileSync(file, bytes);
  process.env.BYREF_BOOT_ID = 'f'.repeat(32);
  const delta = await open(copy, { onError: () => {} });
  expect(delta.readOnly).toContain('is lost');
  await delta.close();
});

test('bytes that an env brings in do not pass for a record', async () => {
  const { copy } = await crashed();
  const foreign = readFileSync(journal(copy)).subarray(64).toString('latin1');
  const target = Array.from({ length: 8 }, (_, shift) => '\0'.repeat(shift) + foreign).join('');
  const victim = path.join(root, 'victim');
  mkdirSync(victim);
  const delta = await open(victim);
  delta.begin().setInode(inode(9, { target }));
  expect(delta.commit()).toBe(0);
  const file = journal(victim);
  const bytes = readFileSync(file);
  const torn = path.join(root, 'torn');
  mkdirSync(torn);
  // The record's own head is gone; what lies in it is looked through for records.
  bytes[64 + 20]! ^= 1;
  writeFileSync(path.join(torn, path.basename(file)), bytes);
  await delta.close();
  const reopened = await open(torn);
  expect(reopened.readOnly).toBeNull();
  expect(reopened.list(ROOT_INO, 0, 100)).toEqual([]);
  expect(reopened.inode(ino(9))).toBeNull();
  await reopened.close();
});
