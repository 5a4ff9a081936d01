import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EIO, EMFILE, ENOSPC, EROFS } from '../../src/base/errno.ts';
import { armFailpoint } from '../../src/base/failpoints.ts';
import { type Ino, ROOT_INO } from '../../src/base/ids.ts';
import { S_IFREG } from '../../src/base/mode.ts';
import { DATA_PRIVATE } from '../../src/codec/inode-record.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { native } from '../../src/native/binding.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { createFile, ino, inode, name, objectOf, open } from './open-env.ts';

/** A file system of 4 MiB in memory. */
let mounted: string;
let dir: string;
const errors: string[] = [];
const onError = (error: Error) => errors.push(error.message);
beforeEach(() => {
  mounted = newDir();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', mounted]);
  dir = path.join(mounted, 'env');
  mkdirSync(dir);
  errors.length = 0;
});
afterEach(() => {
  armFailpoint('');
  execFileSync('umount', ['-l', mounted]);
  removeDir(mounted);
});

/** Creates files with some bytes until one can't be created: how many there are. */
function fillWithFiles(delta: EnvDelta): number {
  for (let count = 0; ; count++) {
    const number = delta.allocate();
    const fd = delta.files.createPrivate(number);
    if (fd < 0) {
      expect(fd).toBe(-ENOSPC);
      return count;
    }
    native.pwrite(fd, Buffer.alloc(4096), 0, 4096, 0);
    delta.files.close(fd);
    const change = delta.begin();
    change.setName(ROOT_INO, name(`file-${count}`), number, S_IFREG);
    change.setInode(inode(number, { data: DATA_PRIVATE }));
    const failed = delta.commit();
    if (failed === 0) continue;
    expect(failed).toBe(-ENOSPC);
    delta.files.removePrivate(number);
    return count;
  }
}

function remove(delta: EnvDelta, text: string): number {
  const number = delta.name(ROOT_INO, name(text))?.ino as Ino;
  const change = delta.begin();
  change.clearName(ROOT_INO, name(text));
  change.clearInode(number);
  const failed = delta.commit();
  return failed < 0 ? failed : delta.files.removePrivate(number);
}

test.each([false, true])(
  'on a full disk names can be removed, which makes room (table: %s)',
  async (table) => {
    const delta = await open(dir, { onError });
    createFile(delta, ROOT_INO, 'first');
    if (table) await delta.checkpoint();
    const count = fillWithFiles(delta);
    writeFileSync(path.join(mounted, 'fill'), '');
    for (let i = 0; i < count; i++) expect(remove(delta, `file-${i}`), `file-${i}`).toBe(0);
    expect(await delta.flush()).toBe(0);
    expect(delta.list(ROOT_INO, 0, 10).length).toBe(1);
    await expect.poll(() => fillWithFiles(delta)).toBeGreaterThan(count / 2);
    await delta.close();
  },
);

test('what was committed before the disk was full is there after, whatever failed', async () => {
  let delta = await open(dir, { onError });
  for (let i = 0; i < 1000; i++) createNamed(delta, i);
  await delta.checkpoint();
  let count = 1000;
  while (createNamed(delta, count) === 0) count++;
  await expect(delta.checkpoint()).rejects.toThrow();
  await expect(delta.checkpoint()).rejects.toThrow();
  expect(delta.list(ROOT_INO, 0, 1_000_000).length).toBe(count);
  await delta.close();
  expect(errors.length).toBeGreaterThan(0);

  delta = await open(dir, { onError });
  expect(delta.readOnly).toBeNull();
  expect(delta.list(ROOT_INO, 0, 1_000_000).length).toBe(count);
  execFileSync('mount', ['-o', 'remount,size=64m', mounted]);
  expect(createNamed(delta, count)).toBe(0);
  await delta.checkpoint();
  expect(delta.list(ROOT_INO, 0, 1_000_000).length).toBe(count + 1);
  await delta.close();
});

function createNamed(delta: EnvDelta, number: number): number {
  const change = delta.begin();
  change.setName(ROOT_INO, name(`${'n'.repeat(150)}-${number}`), ino(1000 + number), S_IFREG);
  change.setInode(inode(1000 + number));
  return delta.commit();
}

test('a copy-up that does not fit leaves nothing', async () => {
  const file = path.join(newDir(), 'object');
  writeFileSync(file, Buffer.alloc(8 << 20, 'x'));
  const delta = await open(dir, { onError });
  const id = objectOf(file);
  for (const length of [8 << 20, 100_000]) {
    if (length === 100_000) writeFileSync(path.join(mounted, 'fill'), Buffer.alloc(4_140_000));
    expect(await delta.files.copyUp(id, ino(7), length, () => false)).toBe(-ENOSPC);
    expect(delta.files.list()).toEqual([]);
  }
  await delta.close();
  removeDir(path.dirname(file));
});

test('an append that fails changes nothing, and the next one succeeds', async () => {
  let delta = await open(dir, { onError });
  expect(createNamed(delta, 0)).toBe(0);
  armFailpoint(`journal-append:1:${ENOSPC}`);
  expect(createNamed(delta, 1)).toBe(-ENOSPC);
  expect(delta.list(ROOT_INO, 0, 10).length).toBe(1);
  expect(createNamed(delta, 2)).toBe(0);
  await delta.close();
  delta = await open(dir, { onError });
  expect(delta.list(ROOT_INO, 0, 10).length).toBe(2);
  await delta.close();
});

test('after a failed fsync nothing more is promised: the env is read-only', async () => {
  const delta = await open(dir, { onError });
  expect(createNamed(delta, 0)).toBe(0);
  armFailpoint(`journal-sync:1:${EIO}`);
  expect(await delta.flush()).toBe(-EIO);
  expect(delta.readOnly).toContain('fsync');
  expect(createNamed(delta, 1)).toBe(-EROFS);
  expect(delta.list(ROOT_INO, 0, 10).length).toBe(1);
  await delta.close();
});

test('a flush that gets no descriptor has tried nothing: the env goes on, and the next one succeeds', async () => {
  const delta = await open(dir, { onError });
  expect(createNamed(delta, 0)).toBe(0);
  armFailpoint(`journal-dir:1:${EMFILE}`);
  expect(await delta.flush()).toBe(-EMFILE);
  expect(delta.readOnly).toBeNull();
  expect(delta.dirty).toBe(true);
  expect(createNamed(delta, 1)).toBe(0);
  expect(await delta.flush()).toBe(0);
  await delta.close();
  expect(errors).toEqual([]);
});
