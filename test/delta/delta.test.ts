import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EROFS } from '../../src/base/errno.ts';
import { ByrefError } from '../../src/base/error.ts';
import { isPrivateIno, ROOT_INO } from '../../src/base/ids.ts';
import { S_IFREG } from '../../src/base/mode.ts';
import { nameCookie } from '../../src/base/name-hash.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { createFile, ino, inode, name, open } from './open-env.ts';

let dir: string;
beforeEach(() => {
  dir = newDir();
});
afterEach(() => removeDir(dir));

test('an env without changes has a lock and nothing else', async () => {
  const delta = await open(dir);
  expect(delta.name(ROOT_INO, name('a'))).toBeNull();
  expect(delta.list(ROOT_INO, 0, 10)).toEqual([]);
  expect(delta.dirty).toBe(false);
  expect(await delta.flush()).toBe(0);
  await delta.close();
  expect(readdirSync(dir)).toEqual(['lock']);
});

test('a change is seen at once, after a checkpoint, and after reopening', async () => {
  let delta = await open(dir);
  const number = delta.allocate();
  const record = inode(number, { xattrs: new Map([['user.x', Buffer.from('value')]]) });
  const change = delta.begin();
  change.setName(ROOT_INO, name('file'), number, S_IFREG);
  change.setName(ROOT_INO, name('gone'), 0, 0);
  change.setInode(record);
  expect(delta.name(ROOT_INO, name('file'))).toBeNull();
  expect(delta.commit()).toBe(0);

  const check = () => {
    expect(delta.name(ROOT_INO, name('file'))).toMatchObject({ ino: number, type: S_IFREG });
    expect(delta.name(ROOT_INO, name('gone'))).toMatchObject({ ino: 0 });
    expect(delta.inode(number)).toEqual(record);
    expect(delta.hasNames(ROOT_INO)).toBe(true);
    expect(delta.hasNames(ino(77))).toBe(false);
    const listed = delta.list(ROOT_INO, 0, 10).map((entry) => [entry.name, entry.cookie]);
    const cookies = ['file', 'gone'].map((text) => [text, nameCookie(name(text))]);
    expect(listed.sort()).toEqual(cookies.sort());
  };
  check();
  await delta.checkpoint();
  check();
  await delta.close();
  delta = await open(dir);
  check();
  await delta.close();
});

test('what is cleared is gone from table and memory', async () => {
  let delta = await open(dir);
  const number = createFile(delta, ROOT_INO, 'file');
  await delta.checkpoint();
  const change = delta.begin();
  change.clearName(ROOT_INO, name('file'));
  change.clearInode(number);
  expect(delta.commit()).toBe(0);
  for (let round = 0; round < 3; round++) {
    expect(delta.name(ROOT_INO, name('file'))).toBeNull();
    expect(delta.inode(number)).toBeNull();
    expect(delta.list(ROOT_INO, 0, 10)).toEqual([]);
    if (round === 0) await delta.checkpoint();
    if (round !== 1) continue;
    await delta.close();
    delta = await open(dir);
  }
  await delta.close();
});

test('a change that was begun and not committed leaves no trace', async () => {
  const delta = await open(dir);
  delta.begin().setName(ROOT_INO, name('a'), ino(5), S_IFREG);
  delta.begin().setName(ROOT_INO, name('b'), ino(6), S_IFREG);
  expect(delta.commit()).toBe(0);
  expect(delta.name(ROOT_INO, name('a'))).toBeNull();
  expect(delta.name(ROOT_INO, name('b'))).not.toBeNull();
  await delta.close();
});

test('numbers of private inodes never repeat', async () => {
  const seen = new Set<number>();
  for (let round = 0; round < 4; round++) {
    const delta = await open(dir);
    for (let i = 0; i < 100; i++) {
      const number = delta.allocate();
      expect(isPrivateIno(number)).toBe(true);
      expect(seen.has(number)).toBe(false);
      if (i < 50) continue;
      seen.add(number);
      delta.begin().setInode(inode(number));
      delta.commit();
    }
    if (round % 2 === 0) await delta.checkpoint();
    await delta.close();
  }
});

test('a second open says who has the env', async () => {
  const delta = await open(dir);
  const error = await open(dir).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ByrefError);
  expect(error).toMatchObject({ code: 'locked' });
  expect((error as Error).message).toContain(`process ${process.pid}`);
  await delta.close();
  await (await open(dir)).close();
});

test('a clean close leaves no journal, and says so in the lock file', async () => {
  const delta = await open(dir);
  createFile(delta, ROOT_INO, 'file');
  await delta.close();
  expect(readdirSync(dir).sort()).toEqual(['link', 'lock', 'private']);
  expect(readFileSync(path.join(dir, 'lock'), 'latin1')).toBe('clean\n');
  expect(delta.begin().setInode(inode(9))).toBeUndefined();
  expect(delta.commit()).toBe(-EROFS);
});

test('flush makes it clean, a commit dirty again', async () => {
  const delta = await open(dir);
  createFile(delta, ROOT_INO, 'a');
  expect(delta.dirty).toBe(true);
  const both = await Promise.all([delta.flush(), delta.flush(), delta.flush()]);
  expect(both).toEqual([0, 0, 0]);
  expect(delta.dirty).toBe(false);
  createFile(delta, ROOT_INO, 'b');
  expect(delta.dirty).toBe(true);
  await delta.close();
});

test('a background checkpoint comes by itself, and many in memory bring it forward', async () => {
  const soon = await open(dir, { checkpointMs: 20 });
  createFile(soon, ROOT_INO, 'a');
  await expect.poll(() => readdirSync(dir)).toContain('link');
  await soon.close();

  const many = await open(dir, { checkpointRecords: 100 });
  const journals = () => readdirSync(dir).filter((file) => file.startsWith('journal'));
  for (let i = 0; i < 150; i++) createFile(many, ROOT_INO, `file-${i}`);
  expect(journals().length).toBe(2);
  await expect.poll(() => journals().length).toBe(1);
  expect(many.list(ROOT_INO, 0, 1000).length).toBe(151);
  await many.close();

  const long = await open(dir, { checkpointBytes: 100_000 });
  const xattrs = new Map([['user.x', Buffer.alloc(4000)]]);
  // One inode, again and again: little in memory, but much to replay.
  for (let i = 0; i < 30; i++) {
    long.begin().setInode(inode(9, { nlink: i, xattrs }));
    expect(long.commit()).toBe(0);
  }
  expect(journals().length).toBe(2);
  await expect.poll(() => journals().length).toBe(1);
  expect(long.inode(ino(9))?.nlink).toBe(29);
  await long.close();
});

test('names are bytes, 1 to 255 of them', async () => {
  let delta = await open(dir);
  const names = ['x', '\xff'.repeat(255), '\x01\x80', 'a b\n'].map((text) => text as never);
  for (const each of names) {
    delta.begin().setName(ROOT_INO, each, ino(4), S_IFREG);
    expect(delta.commit()).toBe(0);
  }
  await delta.close();
  delta = await open(dir);
  for (const each of names) expect(delta.name(ROOT_INO, each)).not.toBeNull();
  expect(
    delta
      .list(ROOT_INO, 0, 10)
      .map((entry) => entry.name)
      .sort(),
  ).toEqual([...names].sort());
  await delta.close();
});
