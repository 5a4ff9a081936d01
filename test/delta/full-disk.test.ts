import { execFileSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EIO, EMFILE, ENOSPC, EROFS } from '../../src/base/errno.ts';
import { armFailpoint } from '../../src/base/failpoints.ts';
import { type Ino, PRIVATE_INO_BASE, ROOT_INO } from '../../src/base/ids.ts';
import { S_IFREG } from '../../src/base/mode.ts';
import { DATA_PRIVATE } from '../../src/codec/inode-record.ts';
import type { Change } from '../../src/driver/core/ports.ts';
import { runCheckpoint } from '../../src/driver/delta/checkpoint-job.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { loadHash } from '../../src/driver/delta/hash.ts';
import type { SegmentHeader } from '../../src/driver/delta/journal-format.ts';
import { PagedTable } from '../../src/driver/delta/paged-table.ts';
import { SegmentFile, segmentsIn } from '../../src/driver/delta/segment-file.ts';
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

/** Takes all the space that is left. */
function fill(): void {
  const fd = openSync(path.join(mounted, 'filler'), 'a');
  try {
    for (;;) writeSync(fd, Buffer.alloc(4096));
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
  }
  closeSync(fd);
}

/** Creates names, from this one on, until there is no space for one. Returns how many it has created. */
function createUntilFull(delta: EnvDelta, from: number): number {
  for (let count = 0; ; count++) {
    const failed = createNamed(delta, from + count);
    if (failed === 0) continue;
    expect(failed).toBe(-ENOSPC);
    return count;
  }
}

/** Commits a change, and waits for the checkpoint that it may ask for, as requests do. */
async function commitAndWait(delta: EnvDelta, fillIn: (change: Change) => void): Promise<number> {
  let ready: Promise<void> = Promise.resolve();
  delta.onShort = (made) => {
    ready = made;
  };
  fillIn(delta.begin());
  const failed = delta.commit();
  await ready;
  return failed;
}

test.each([100, 2000])(
  'on a full disk names are moved without end, and all of %i and more can be removed',
  async (names) => {
    const delta = await open(dir, { onError });
    for (let i = 0; i < names; i++) expect(createNamed(delta, i)).toBe(0);
    fill();
    const count = names + createUntilFull(delta, names);
    for (let i = 0; i < 4000; i++) {
      const [from, to] = i % 2 === 0 ? ['moved', named(0)] : [named(0), 'moved'];
      const moved = await commitAndWait(delta, (change) => {
        change.setName(ROOT_INO, name(from), own(0), S_IFREG);
        change.clearName(ROOT_INO, name(to));
        change.setInode(inode(own(0), { ctime: i }));
      });
      expect(moved, `move ${i}`).toBe(0);
    }
    // Nothing that is removed has bytes on the disk.
    for (let i = 0; i < count; i++) {
      const removed = await commitAndWait(delta, (change) => {
        change.clearName(ROOT_INO, name(named(i)));
        change.clearInode(own(i));
      });
      expect(removed, `removal ${i}`).toBe(0);
    }
    expect(delta.list(ROOT_INO, 0, 10).length).toBe(0);
    await delta.close();
    expect(errors).toEqual([]);
    expect(readdirSync(dir).sort()).toEqual(['link', 'lock']);
  },
);

test('an env that was first written to on a full disk takes what is set aside for all', async () => {
  const shared = path.join(mounted, 'shared');
  writeFileSync(shared, Buffer.alloc(1024 * 1024));
  const giveShared = (bytes: number): boolean => {
    const { size } = statSync(shared);
    truncateSync(shared, Math.max(0, size - bytes));
    return size > 0;
  };
  const delta = await open(dir, { onError, giveShared });
  fill();
  for (let i = 0; i < 1500; i++) {
    const removed = await commitAndWait(delta, (change) =>
      change.setName(ROOT_INO, name(`of the template ${i}`), 0, 0),
    );
    expect(removed, `removal ${i}`).toBe(0);
  }
  expect(createUntilFull(delta, 0)).toBeLessThan(1500);
  await delta.close();
  expect(errors).toEqual([]);
});

test('what was committed before the disk was full is there after, whatever failed', async () => {
  let delta = await open(dir, { onError });
  for (let i = 0; i < 1000; i++) createNamed(delta, i);
  await delta.checkpoint();
  let count = 1000;
  while (createNamed(delta, count) === 0) count++;
  // Without what is set aside, no checkpoint can be made.
  truncateSync(path.join(dir, 'room'), 0);
  fill();
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

const own = (number: number): Ino => ino(PRIVATE_INO_BASE + 1000 + number);
const named = (number: number): string => `${'n'.repeat(150)}-${number}`;

function createNamed(delta: EnvDelta, number: number): number {
  const change = delta.begin();
  change.setName(ROOT_INO, name(named(number)), own(number), S_IFREG);
  change.setInode(inode(own(number)));
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

test('a record that is cut short takes nothing of what is set aside, and leaves a journal that is whole', async () => {
  let delta = await open(dir, { onError });
  for (let i = 0; i < 10; i++) expect(createNamed(delta, i)).toBe(0);
  fill();
  const [segment = ''] = readdirSync(dir).filter((file) => file.startsWith('journal.'));
  const { blocks } = statSync(path.join(dir, segment));
  // A removal may use all that is set aside; one that is larger is cut short.
  const change = delta.begin();
  for (let i = 0; i < 2000; i++) change.setName(ROOT_INO, name(named(i)), 0, 0);
  expect(delta.commit()).toBe(-ENOSPC);
  expect(statSync(path.join(dir, segment)).blocks).toBeGreaterThanOrEqual(blocks);
  const after = delta.begin();
  after.clearName(ROOT_INO, name(named(1)));
  expect(delta.commit()).toBe(0);
  const copy = newDir();
  cpSync(dir, copy, { recursive: true });
  await delta.close();
  delta = await open(copy, { onError });
  expect(delta.readOnly).toBeNull();
  expect(delta.list(ROOT_INO, 0, 100).length).toBe(9);
  await delta.close();
  removeDir(copy);
  expect(errors).toEqual([]);
});

test('after a failed fsync nothing more is promised: the env is read-only', async () => {
  const delta = await open(dir, { onError });
  expect(createNamed(delta, 0)).toBe(0);
  // The first one comes by itself, on a small disk.
  await delta.checkpoint();
  expect(createNamed(delta, 1)).toBe(0);
  armFailpoint(`journal-sync:1:${EIO}`);
  expect(await delta.flush()).toBe(-EIO);
  expect(delta.readOnly).toContain('fsync');
  expect(createNamed(delta, 2)).toBe(-EROFS);
  expect(delta.list(ROOT_INO, 0, 10).length).toBe(2);
  await delta.close();
});

test('a flush that gets no descriptor has tried nothing: the env goes on, and the next one succeeds', async () => {
  const roomy = newDir();
  const delta = await open(roomy, { onError });
  expect(createNamed(delta, 0)).toBe(0);
  armFailpoint(`journal-dir:1:${EMFILE}`);
  expect(await delta.flush()).toBe(-EMFILE);
  expect(delta.readOnly).toBeNull();
  expect(delta.dirty).toBe(true);
  expect(createNamed(delta, 1)).toBe(0);
  expect(await delta.flush()).toBe(0);
  await delta.close();
  expect(errors).toEqual([]);
  removeDir(roomy);
});

test.each([false, true])(
  'a checkpoint in pieces that is cut short between two loses nothing (after another boot: %s)',
  async (isBooted) => {
    const copy = newDir();
    let delta = await open(dir, { onError });
    const inos = Array.from({ length: 40 }, (_, i) => createFile(delta, ROOT_INO, `file-${i}`));
    expect(await delta.flush()).toBe(0);
    cpSync(dir, copy, { recursive: true });
    await delta.close();

    const segments = segmentsIn(copy);
    const { lineage, bootId } = await headerOf(segments[0]!);
    const state = { sequence: inos.length, nextIno: inos.at(-1)! + 1, lineage, bootId };
    await runCheckpoint({ envDir: copy, segments, state, pieceBytes: 1024 });
    const table = PagedTable.whole(path.join(copy, 'link'))!;
    expect(table.state()?.sequence).toBeGreaterThan(0);
    expect(table.state()?.sequence).toBeLessThan(inos.length);
    await table.close();

    if (isBooted) process.env.BYREF_BOOT_ID = 'b'.repeat(32);
    delta = await open(copy, { onError });
    delete process.env.BYREF_BOOT_ID;
    expect(inos.map((_, i) => delta.name(ROOT_INO, name(`file-${i}`))?.ino)).toEqual(inos);
    expect(delta.files.list().sort()).toEqual([...inos].sort());
    expect(delta.allocate()).toBeGreaterThan(inos.at(-1)!);
    await delta.close();
    expect(errors).toEqual([]);
    removeDir(copy);
  },
);

async function headerOf(segment: string): Promise<SegmentHeader> {
  const file = new SegmentFile(segment, await loadHash());
  file.close();
  return file.header!;
}
