import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Ino, type ObjectId, PRIVATE_INO_BASE, ROOT_INO } from '../../src/base/ids.ts';
import { S_IFDIR, S_IFREG } from '../../src/base/mode.ts';
import {
  DATA_OBJECT,
  DATA_PRIVATE,
  FLAG_UNSYNCED,
  type InodeRecord,
} from '../../src/codec/inode-record.ts';
import { emptyBlobStat } from '../../src/driver/core/blob-stat.ts';
import { readTag } from '../../src/driver/delta/adopt-tagged.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { createFile, ino, inode, name, objectOf, open } from './open-env.ts';

/** A power cut: the files as they were, less what `lose` takes away, under another boot id. */
let root: string;
let dir: string;
let after: string;
beforeEach(() => {
  root = newDir();
  dir = path.join(root, 'env');
  after = path.join(root, 'after');
  mkdirSync(dir);
});
afterEach(() => {
  removeDir(root);
  delete process.env.BYREF_BOOT_ID;
});

async function cut(
  delta: EnvDelta,
  lose: () => void = () => {},
  boot = 'b'.repeat(32),
): Promise<EnvDelta> {
  copyTree(after);
  await delta.close();
  lose();
  process.env.BYREF_BOOT_ID = boot;
  return open(after);
}

/** With extended attributes, which Node's own copy leaves out. */
function copyTree(to: string, from = dir): void {
  execFileSync('cp', ['-a', from, to]);
}

function loseJournal(): void {
  for (const file of readdirSync(after)) {
    if (file.startsWith('journal.')) rmSync(path.join(after, file));
  }
}

const privatePath = (number: number) => path.join(after, 'private', number.toString(16));

async function copyUp(
  delta: EnvDelta,
  number: number,
  id: ObjectId,
  length = 12288,
): Promise<void> {
  expect(await delta.files.copyUp(id, ino(number), length, () => false)).toBe(0);
  const fields = { data: DATA_PRIVATE, flags: FLAG_UNSYNCED, object: id, size: 9, uid: 5 };
  delta.begin().setInode(inode(number, fields));
  expect(delta.commit()).toBe(0);
}

function makeDir(delta: EnvDelta, parent: Ino, text: string): Ino {
  const number = delta.allocate();
  const change = delta.begin();
  change.setName(parent, name(text), number, S_IFDIR);
  const own = { mode: S_IFDIR | 0o755, nlink: 2, parent, name: name(text) };
  change.setInode(inode(number, own));
  if (parent !== ROOT_INO) change.setInode({ ...delta.inode(parent)!, nlink: 3 });
  expect(delta.commit()).toBe(0);
  return number;
}

/** Creates a file as the filesystem core does where the kernel may write it by passthrough. */
function tagFile(delta: EnvDelta, parent: Ino, text: string, own: Partial<InodeRecord> = {}): Ino {
  const number = delta.allocate();
  delta.files.close(delta.files.createPrivate(number));
  const record = inode(number, { data: DATA_PRIVATE, mode: S_IFREG | 0o644, ...own });
  delta.tagPrivate(record, [{ dir: parent, name: name(text) }]);
  const change = delta.begin();
  change.setName(parent, name(text), number, S_IFREG);
  change.setInode(record);
  expect(delta.commit()).toBe(0);
  return number;
}

function object(): ObjectId {
  const file = path.join(root, 'object');
  writeFileSync(file, Buffer.alloc(12288, 'object'));
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
    delta = await cut(delta, () => truncateSync(privatePath(number), 0));
    expect(delta.inode(ino(number))).toMatchObject({
      data: DATA_OBJECT,
      object: id,
      flags: 0,
      size: 12288,
      blocks: statSync(path.join(root, 'object')).blocks,
      uid: 5,
    });
    expect(await delta.flush()).toBe(0);
    await expect.poll(() => existsSync(privatePath(number))).toBe(false);
    await delta.close();
  },
);

test('what of a copy is on disk counts, and the rest is the object’s', async () => {
  let delta = await open(dir);
  await copyUp(delta, 7, object(), 12288);
  delta = await cut(delta, () => {
    const script = `
      printf synced | dd of=${privatePath(7)} bs=4096 seek=1 conv=notrunc status=none
      fallocate --punch-hole --offset 0 --length 4096 ${privatePath(7)}
      truncate -s 8192 ${privatePath(7)}`;
    execFileSync('bash', ['-euc', script]);
  });
  expect(delta.inode(ino(7))).toMatchObject({ data: DATA_PRIVATE, flags: 0, object: '' });
  const expected = readFileSync(path.join(root, 'object'));
  expected.write('synced', 4096);
  expect(readFileSync(privatePath(7)).equals(expected)).toBe(true);
  await delta.close();
});

test('a killed process, without a power cut, keeps its un-synced copy', async () => {
  const before = await open(dir);
  await copyUp(before, 7, object());
  copyTree(after);
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
  copyTree(third, after);
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
  expect(readFileSync(privatePath(7)).length).toBe(12288);
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

test('files whose records the journal lost are found by their tags, in their directories', async () => {
  let delta = await open(dir);
  const one = makeDir(delta, ROOT_INO, 'one');
  const file = tagFile(delta, makeDir(delta, one, 'two'), 'file', {
    mode: S_IFREG | 0o640,
    uid: 7,
  });
  const xattrs = new Map([['user.x', Buffer.from('y')]]);
  const long = tagFile(delta, ROOT_INO, 'n'.repeat(255), { xattrs });
  expect(delta.needsFlush(file) || delta.needsFlush(long)).toBe(false);
  delta = await cut(delta, loseJournal);
  expect(delta.name(ROOT_INO, name('one'))).toMatchObject({ ino: one, type: S_IFDIR });
  expect(delta.inode(one)).toMatchObject({ nlink: 3, parent: ROOT_INO, mode: S_IFDIR | 0o755 });
  const inner = delta.name(one, name('two'))!.ino;
  expect(delta.name(inner as Ino, name('file'))).toMatchObject({ ino: file });
  expect(delta.inode(file)).toMatchObject({
    data: DATA_PRIVATE,
    nlink: 1,
    mode: S_IFREG | 0o640,
    uid: 7,
  });
  expect(delta.name(ROOT_INO, name('n'.repeat(255)))).toMatchObject({ ino: long });
  expect(delta.inode(long)?.xattrs).toEqual(xattrs);
  await delta.close();
});

test('a tagged file takes its name back, and what had it before is kept; a directory keeps its name', async () => {
  let delta = await open(dir);
  const [other] = [createFile(delta, ROOT_INO, 'file'), makeDir(delta, ROOT_INO, 'dir')];
  expect(await delta.flush()).toBe(0);
  const kept = path.join(root, 'kept');
  copyTree(kept);
  const [first, second] = ['file', 'dir'].map((text) => tagFile(delta, ROOT_INO, text));
  delta = await cut(delta, () => {
    // The journal is that of before.
    loseJournal();
    for (const file of readdirSync(kept).filter((entry) => entry.startsWith('journal.'))) {
      execFileSync('cp', ['-a', path.join(kept, file), after]);
    }
  });
  expect(delta.name(ROOT_INO, name('file'))).toMatchObject({ ino: first });
  // Replaced or renamed: the journal does not say.
  expect(delta.name(ROOT_INO, name(`file.${other.toString(16)}`))).toMatchObject({ ino: other });
  expect(delta.inode(other)).toMatchObject({ nlink: 1 });
  expect(delta.name(ROOT_INO, name('dir'))).toMatchObject({ type: S_IFDIR });
  expect(delta.name(ROOT_INO, name(`dir.${second!.toString(16)}`))).toMatchObject({ ino: second });
  await delta.close();
});

test('a tag follows what is done to the file, and goes when it has done its work', async () => {
  let delta = await open(dir);
  const long = 'n'.repeat(200);
  const removed = tagFile(delta, ROOT_INO, 'removed');
  const moved = tagFile(delta, ROOT_INO, long);
  const before = inode(moved, { data: DATA_PRIVATE });
  const change = delta.begin();
  change.clearName(ROOT_INO, name(long));
  change.setName(ROOT_INO, name(`to-${long}`), moved, S_IFREG);
  change.setInode({ ...before, mode: S_IFREG | 0o600 });
  change.clearName(ROOT_INO, name('removed'));
  change.setInode(inode(removed, { data: DATA_PRIVATE, nlink: 0 }));
  expect(delta.commit()).toBe(0);
  const stat = emptyBlobStat();
  expect(delta.files.statPrivate(moved, stat)).toBe(0);
  expect(stat.blocks, 'a tag takes none that is seen').toBe(0);
  await expect.poll(() => readTag(dir, removed)).toBeNull();
  const lost = path.join(root, 'lost');
  copyTree(lost);
  expect(await delta.flush()).toBe(0);
  const file = path.join(dir, 'private', moved.toString(16));
  await expect.poll(() => statSync(file).blocks).toBe(0);
  await delta.close();
  process.env.BYREF_BOOT_ID = 'b'.repeat(32);
  after = lost;
  loseJournal();
  delta = await open(lost);
  expect(delta.name(ROOT_INO, name(long))).toBeNull();
  expect(delta.name(ROOT_INO, name(`to-${long}`))).toMatchObject({ ino: moved });
  expect(delta.inode(moved)).toMatchObject({ mode: S_IFREG | 0o600 });
  expect(delta.name(ROOT_INO, name('removed'))).toBeNull();
  await delta.close();
  expect(readdirSync(path.join(lost, 'private'))).toEqual([moved.toString(16)]);
});

test.each(['short', 'n'.repeat(200)])(
  'a tag that a killed process left follows, too: %s',
  async (text) => {
    const killed = await open(dir);
    const file = tagFile(killed, ROOT_INO, text);
    const made = makeDir(killed, ROOT_INO, 'dir');
    copyTree(after);
    await killed.close();
    let delta = await open(after, { keepOrphans: true, goesOn: true });
    // A long one takes space, and goes before anything else is done.
    expect(delta.dirty).toBe(text === 'short');
    const change = delta.begin();
    change.clearName(ROOT_INO, name(text));
    change.setName(made, name('moved'), file, S_IFREG);
    change.setInode(inode(file, { data: DATA_PRIVATE, mode: S_IFREG | 0o600 }));
    expect(delta.commit()).toBe(0);
    const lost = path.join(root, 'lost');
    copyTree(lost, after);
    expect(await delta.flush()).toBe(0);
    expect(delta.dirty).toBe(false);
    await expect.poll(() => readTag(after, file)).toBeNull();
    await delta.close();
    if (text !== 'short') return;
    process.env.BYREF_BOOT_ID = 'b'.repeat(32);
    after = lost;
    loseJournal();
    delta = await open(lost);
    expect(delta.name(ROOT_INO, name(text))).toBeNull();
    expect(delta.name(made, name('moved'))).toMatchObject({ ino: file });
    expect(delta.inode(made)).toMatchObject({ mode: S_IFDIR | 0o755 });
    await delta.close();
  },
);

test('numbers seen before the power cut are not given out again', async () => {
  let delta = await open(dir);
  for (let i = 0; i < 5000; i++) delta.allocate();
  const last = createFile(delta, ROOT_INO, 'file');
  delta = await cut(delta);
  expect(delta.allocate()).toBeGreaterThan(last + 1_000_000);
  expect(delta.allocate()).toBeLessThan(PRIVATE_INO_BASE * 2);
  await delta.close();
});
