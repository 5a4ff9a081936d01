/** Names that are lost never become bytes that are lost. */
import { execFileSync } from 'node:child_process';
import {
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
import { type Ino, ROOT_INO } from '../../src/base/ids.ts';
import { O_RDWR } from '../../src/base/mode.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { lostFiles } from '../../src/driver/delta/lost-files.ts';
import { readDelta } from '../../src/driver/delta/read-delta.ts';
import { native } from '../../src/native/binding.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { createFile, name, open } from './open-env.ts';

const FILES = 20;
/** A number of a template’s file. */
const TEMPLATE_INO = 7 as Ino;
let root: string;
let dir: string;
beforeEach(() => {
  root = newDir();
  dir = path.join(root, 'env');
  mkdirSync(dir);
});
afterEach(() => removeDir(root));

/** With the extended attributes of its files. */
const copyEnv = (to: string): Buffer => execFileSync('cp', ['-a', dir, to]);

const segments = (at: string): string[] =>
  readdirSync(at)
    .filter((each) => each.startsWith('journal.'))
    .map((each) => path.join(at, each));

function writeFile(delta: EnvDelta, text: string): void {
  const number = createFile(delta, ROOT_INO, text);
  const fd = delta.files.openPrivate(number, O_RDWR);
  const bytes = Buffer.from(`content of ${text}`);
  native.pwrite(fd, bytes, 0, bytes.length, 0);
  native.close(fd);
}

/** An env as kill -9 leaves it: files named a*, a checkpoint if that is asked for, and files named b*. */
async function killed(checkpoint: boolean): Promise<string> {
  const delta = await open(dir);
  if (checkpoint) {
    for (let i = 0; i < FILES; i++) writeFile(delta, `a${i}`);
    await delta.checkpoint();
  }
  for (let i = 0; i < FILES; i++) writeFile(delta, `b${i}`);
  const copy = path.join(root, 'copy');
  copyEnv(copy);
  await delta.close();
  return copy;
}

const privateFiles = (at: string): number => readdirSync(path.join(at, 'private')).length;

test.each([
  ['emptied', false, (file: string) => truncateSync(file, 0)],
  ['emptied after a checkpoint', true, (file: string) => truncateSync(file, 0)],
  ['removed', false, (file: string) => rmSync(file)],
  ['removed after a checkpoint', true, (file: string) => rmSync(file)],
  ['all zeros', true, (file: string) => writeFileSync(file, Buffer.alloc(statSync(file).size))],
] as const)('a journal that is %s is said to be lost, and no file goes', async (_, table, harm) => {
  const copy = await killed(table);
  const before = privateFiles(copy);
  expect(before).toBe(table ? 2 * FILES : FILES);
  for (const file of segments(copy)) harm(file);
  const view = await readDelta(copy);
  expect(view.damage).toMatch(
    /journal\.\w+(: its header| is gone, or empty: all changes from \d+ on)/,
  );
  await view.close();
  // It can be read up to there, and nothing is changed, however often it is opened.
  for (let i = 0; i < 2; i++) {
    const delta = await open(copy, { onError: () => undefined });
    expect(delta.readOnly).toMatch(/journal\.\w+/);
    expect(delta.name(ROOT_INO, name('a3')) !== null).toBe(table);
    await delta.close();
  }
  expect(privateFiles(copy)).toBe(before);

  // If that is accepted, it goes on from there, and all files that nothing names are kept.
  const said: string[] = [];
  const delta = await open(copy, {
    acceptLoss: true,
    onError: ({ message }) => said.push(message),
  });
  expect(delta.readOnly).toBeNull();
  expect(said.join()).toMatch(
    new RegExp(`${FILES} private files that nothing names are in .*lost`),
  );
  writeFile(delta, 'new');
  await delta.close();
  expect(privateFiles(copy)).toBe(before - FILES + 1);
  const lost = lostFiles(copy).filter(({ ino }) => ino !== null);
  expect(lost.map(({ name: called }) => called).sort()).toEqual(
    Array.from({ length: FILES }, (_each, i) => `b${i}`).sort(),
  );
  for (const { path: file, name: called, bytes } of lost) {
    expect(readFileSync(file, 'utf8')).toBe(`content of ${called}`);
    expect(bytes).toBe(statSync(file).size);
  }
  const after = await open(copy);
  expect(after.readOnly).toBeNull();
  expect(after.name(ROOT_INO, name('new'))).not.toBeNull();
  await after.close();
});

test('what a journal names that ends too early is kept as lost, with nothing else', async () => {
  const copy = await killed(true);
  const [file = ''] = segments(copy);
  const size = statSync(file).size;
  truncateSync(file, size - Math.floor(size / 3));
  const delta = await open(copy, { onError: () => undefined });
  const named = Array.from({ length: FILES }, (_, i) => delta.name(ROOT_INO, name(`b${i}`)));
  const there = named.filter((each) => each !== null).length;
  await delta.close();
  expect(there).toBeGreaterThan(0);
  expect(there).toBeLessThan(FILES);
  expect(lostFiles(copy)).toHaveLength(FILES - there);
  expect(privateFiles(copy)).toBe(FILES + there);
});

test('a kill at any moment of a close is not taken for a loss', async () => {
  const delta = await open(dir);
  writeFile(delta, 'one');
  await delta.flush();
  await delta.checkpoint();
  const copies: string[] = [];
  const at = (what: string): void => {
    const copy = path.join(root, `copy-${copies.length}-${what}`);
    copyEnv(copy);
    copies.push(copy);
  };
  at('checkpointed');
  await delta.close();
  at('closed');
  // As it was between the removal of the last segment and the lock's last word.
  const copy = path.join(root, 'between');
  copyEnv(copy);
  writeFileSync(path.join(copy, 'lock'), 'pid 1\n');
  copies.push(copy);
  for (const each of copies) {
    const again = await open(each, { onError: () => undefined });
    expect(again.readOnly, each).toBeNull();
    expect(again.name(ROOT_INO, name('one'))).not.toBeNull();
    await again.close();
    expect(lostFiles(each)).toEqual([]);
  }
});

test('what was removed before a kill is not kept', async () => {
  const delta = await open(dir);
  writeFile(delta, 'gone');
  writeFile(delta, 'stays');
  await delta.flush();
  const { ino } = delta.name(ROOT_INO, name('gone'))!;
  const change = delta.begin();
  change.clearName(ROOT_INO, name('gone'));
  change.clearInode(ino as never);
  expect(delta.commit()).toBe(0);
  const copy = path.join(root, 'copy');
  copyEnv(copy);
  await delta.close();
  expect(privateFiles(copy)).toBe(2);
  const again = await open(copy);
  await again.close();
  expect(privateFiles(copy)).toBe(1);
  expect(lostFiles(copy)).toEqual([]);
});

test('a copy of a template’s file that a kill cut short is not kept, unless the journal may lack its record', async () => {
  const delta = await open(dir);
  writeFile(delta, 'stays');
  await delta.flush();
  const fd = delta.files.createPrivate(TEMPLATE_INO);
  native.pwrite(fd, Buffer.from('the first part'), 0, 14, 0);
  native.close(fd);
  const copies = ['whole', 'torn'].map((each) => path.join(root, each));
  for (const each of copies) copyEnv(each);
  await delta.close();
  const [whole = '', torn = ''] = copies;
  for (const file of segments(torn)) truncateSync(file, statSync(file).size - 1);
  for (const each of copies) await (await open(each, { onError: () => undefined })).close();
  expect(privateFiles(whole)).toBe(1);
  expect(lostFiles(whole)).toEqual([]);
  expect(lostFiles(torn).map(({ ino }) => ino)).toContain(TEMPLATE_INO);
});
