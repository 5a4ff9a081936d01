/** A large journal, as a driver or the machine leaves it that ended while its disk was slow, is recovered piece by piece. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Ino, ROOT_INO } from '../../src/base/ids.ts';
import { S_IFREG } from '../../src/base/mode.ts';
import { DATA_PRIVATE, FLAG_UNSYNCED } from '../../src/codec/inode-record.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { readDelta } from '../../src/driver/delta/read-delta.ts';
import { TailBudget } from '../../src/driver/delta/tail-budget.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { createFile, ino, inode, name, objectOf, open } from './open-env.ts';

const VALUE_BYTES = 48 * 1024;
/** Three pieces of a journal. */
const FILES = 200;
const LARGE = { largeJournalBytes: 2 ** 20 };
const NO_CHECKPOINT = { checkpointRecords: 1e9, checkpointBytes: 1e12 };
const OTHER_BOOT = 'b'.repeat(32);

let root: string;
let dir: string;
let copy: string;
beforeEach(() => {
  root = newDir();
  dir = path.join(root, 'env');
  copy = path.join(root, 'copy');
  mkdirSync(dir);
});
afterEach(() => {
  removeDir(root);
  delete process.env.BYREF_BOOT_ID;
});

/** Makes an inode with a long attribute; without bytes of its own. */
function addFile(delta: EnvDelta, i: number): void {
  const number = delta.allocate();
  const change = delta.begin();
  change.setName(ROOT_INO, name(`n${i}`), number, S_IFREG);
  const xattrs = new Map([['user.long', Buffer.alloc(VALUE_BYTES, i)]]);
  change.setInode(inode(number, { xattrs }));
  if (delta.commit() < 0) throw new Error('not committed');
}

/** Copies the env as it is, so as a kill leaves it, to `copy`; and closes it. */
async function kill(delta: EnvDelta): Promise<void> {
  execFileSync('cp', ['-a', dir, copy]);
  await delta.close();
}

const journal = () => readdirSync(copy).filter((each) => each.startsWith('journal.'));

const IMPORTS = `
  const { openDelta } = await import('${path.resolve('src/driver/delta/open-delta.ts')}');
  const { readDelta } = await import('${path.resolve('src/driver/delta/read-delta.ts')}');
  const [, env] = process.argv;
`;

/** Runs a script, after IMPORTS, in a process of its own. */
function runScript(script: string, variables: Record<string, string> = {}) {
  const args = ['--import', 'tsx', '--input-type=module', '-e', IMPORTS + script, copy];
  const result = spawnSync(process.execPath, args, { env: { ...process.env, ...variables } });
  return { signal: result.signal, stdout: String(result.stdout), stderr: String(result.stderr) };
}

/** Opens the env in a process of its own, which a failpoint kills when the first piece is in the table. */
function killedMeanwhile(): boolean {
  const script = `await openDelta(env, { openObject: () => -1, largeJournalBytes: 1 });`;
  return runScript(script, { BYREF_FAILPOINT: 'journal-drained' }).signal === 'SIGKILL';
}

test.each([
  [false, false],
  [false, true],
  [true, false],
  [true, true],
])(
  'with nothing of it in memory after; killed meanwhile: %s, after another boot: %s',
  async (isKilled, isBooted) => {
    const delta = await open(dir, NO_CHECKPOINT);
    for (let i = 0; i < FILES; i++) addFile(delta, i);
    const next = delta.allocate();
    await kill(delta);
    if (isBooted) process.env.BYREF_BOOT_ID = OTHER_BOOT;
    if (isKilled) expect(killedMeanwhile()).toBe(true);
    const tailBudget = new TailBudget(1e9);
    const again = await open(copy, { ...LARGE, tailBudget });
    expect(again.readOnly).toBeNull();
    expect(tailBudget.used).toBe(0);
    for (const i of [0, 1, FILES / 2, FILES - 1]) {
      const { ino: number } = again.name(ROOT_INO, name(`n${i}`))!;
      const value = again.inode(number as Ino)?.xattrs?.get('user.long');
      expect(value).toEqual(Buffer.alloc(VALUE_BYTES, i));
    }
    expect(again.allocate()).toBeGreaterThanOrEqual(next + (isBooted ? 1_000_000 : 0));
    await again.close();
    expect(journal()).toEqual([]);
    const reopened = await open(copy);
    expect(reopened.readOnly).toBeNull();
    expect(reopened.allocate()).toBeGreaterThanOrEqual(next);
    await reopened.close();
  },
);

test.each([false, true])(
  'after another boot files are looked at as after a small one; killed meanwhile: %s',
  async (isKilled) => {
    const delta = await open(dir, NO_CHECKPOINT);
    const object = path.join(root, 'object');
    writeFileSync(object, Buffer.alloc(12288, 'object'));
    const id = objectOf(object);
    const missing = createFile(delta, ROOT_INO, 'missing');
    const removed = createFile(delta, ROOT_INO, 'removed');
    const change = delta.begin();
    change.clearName(ROOT_INO, name('removed'));
    change.clearInode(removed);
    expect(delta.commit()).toBe(0);
    expect(await delta.files.copyUp(id, ino(70), 12288, () => false)).toBe(0);
    const own = { data: DATA_PRIVATE, flags: FLAG_UNSYNCED, object: id, size: 12288 };
    delta.begin().setInode(inode(70, own));
    expect(delta.commit()).toBe(0);
    for (let i = 0; i < FILES; i++) addFile(delta, i);
    const unnamed = delta.allocate();
    await kill(delta);

    const pathOf = (number: number) => path.join(copy, 'private', number.toString(16));
    rmSync(pathOf(missing));
    writeFileSync(pathOf(removed), 'removed');
    writeFileSync(pathOf(unnamed), 'unnamed');
    // None of its bytes came to the disk.
    writeFileSync(pathOf(70), '');
    process.env.BYREF_BOOT_ID = OTHER_BOOT;
    if (isKilled) expect(killedMeanwhile()).toBe(true);
    const errors: string[] = [];
    const again = await open(copy, { ...LARGE, onError: ({ message }) => errors.push(message) });
    expect(again.readOnly).toBeNull();
    expect(readFileSync(pathOf(missing), 'utf8')).toBe('');
    expect(again.inode(ino(70))).toMatchObject({ flags: 0, size: 12288 });
    expect(again.inode(ino(70))?.data).not.toBe(DATA_PRIVATE);
    expect(readdirSync(path.join(copy, 'lost+found'))).toEqual([unnamed.toString(16)]);
    expect(errors).toEqual([expect.stringContaining('1 private files that nothing names')]);
    await again.close();
    expect(existsSync(pathOf(removed))).toBe(false);
    expect(journal()).toEqual([]);
  },
);

test('a command that reads it moves it into the table, and recovery is what it would have been', async () => {
  const delta = await open(dir, NO_CHECKPOINT);
  const missing = createFile(delta, ROOT_INO, 'missing');
  for (let i = 0; i < 2 * FILES; i++) addFile(delta, i);
  await kill(delta);
  rmSync(path.join(copy, 'private', missing.toString(16)));
  process.env.BYREF_BOOT_ID = OTHER_BOOT;
  const before = journal();
  for (let i = 0; i < 2; i++) {
    const view = await readDelta(copy);
    expect(view.damage).toBeNull();
    expect([...view.changedNames()].length).toBe(2 * FILES + 1);
    expect(view.awaitsRecovery(missing)).toBe(true);
    expect(view.nextIno).toBeGreaterThan(missing + 2 * FILES);
    await view.close();
  }
  expect(existsSync(path.join(copy, 'link/data.mdb'))).toBe(true);
  expect(journal()).toEqual(before);
  const again = await open(copy);
  expect(existsSync(path.join(copy, 'private', missing.toString(16)))).toBe(true);
  await again.close();
  expect(journal()).toEqual([]);
});

test('a journal whose end is torn is moved up to there, and damage beyond it is told', async () => {
  const delta = await open(dir, NO_CHECKPOINT);
  for (let i = 0; i < FILES; i++) addFile(delta, i);
  await kill(delta);
  const [segment = ''] = journal();
  const file = path.join(copy, segment);
  const bytes = readFileSync(file);
  bytes.fill(0xff, bytes.length - VALUE_BYTES, bytes.length - VALUE_BYTES + 100);
  writeFileSync(file, bytes);
  let again = await open(copy, LARGE);
  expect(again.readOnly).toBeNull();
  expect(again.list(ROOT_INO, 0, 1e6).length).toBe(FILES - 1);
  await again.close();

  removeDir(copy);
  execFileSync('cp', ['-a', dir, copy]);
  // In the first record of the second piece.
  bytes.fill(0xff, 5 * 2 ** 20, 5 * 2 ** 20 + 100);
  writeFileSync(file, bytes);
  writeFileSync(path.join(copy, 'lock'), 'pid 1\n');
  rmSync(path.join(copy, 'link'), { recursive: true });
  const errors: string[] = [];
  again = await open(copy, { ...LARGE, onError: ({ message }) => errors.push(message) });
  expect(again.readOnly).toMatch(/damaged at byte \d+, change \d+ is lost/);
  expect(errors.length).toBe(1);
  const known = again.list(ROOT_INO, 0, 1e6).length;
  expect(known).toBeGreaterThan(50);
  expect(known).toBeLessThan(150);
  await again.close();
});

/** Prints by how many bytes at most the process's own memory grows while it does `what`. What is mapped of files is not its own. */
const growthOf = (what: string) => `
  const { readFileSync } = await import('node:fs');
  const own = () => Number(/RssAnon:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
  const before = own();
  let peak = before;
  const look = () => { peak = Math.max(peak, own()); };
  setInterval(look, 10).unref();
  ${what}
  look();
  console.log(peak - before);
`;
const OPEN = `const delta = await openDelta(env, { openObject: () => -1 }); look(); await delta.close();`;
const READ = `const view = await readDelta(env); look(); for (const each of view.inodes()) look(); await view.close();`;

test('a mount, and a command that reads it, take no more memory than one and a half times the bytes of the journal', async () => {
  // The budget of a usual heap refuses a tail as long as this.
  const delta = await open(dir, { ...NO_CHECKPOINT, tailBudget: new TailBudget(1e9) });
  const count = 3000;
  for (let i = 0; i < count; i++) addFile(delta, i);
  await kill(delta);
  for (const what of [READ, OPEN]) {
    // What the first one leaves is less work for the second, but for this.
    rmSync(path.join(copy, 'link'), { recursive: true, force: true });
    const { stdout, stderr } = runScript(growthOf(what), { BYREF_BOOT_ID: OTHER_BOOT });
    expect(stderr).toBe('');
    expect(Number(stdout)).toBeGreaterThan(0);
    expect(Number(stdout), what).toBeLessThan(1.5 * count * VALUE_BYTES);
  }
});
