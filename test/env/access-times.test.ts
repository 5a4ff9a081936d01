/** Access times go by the flags of an env's mount, as on the file system of this machine, whatever those below are. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { output } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';

const PROBE = path.join(import.meta.dirname, 'access-times-probe.ts');
/** Room for a probe on a busy machine. */
const SOON = { timeout: 30_000 };
const ALL = ['file', 'directory', 'symlink'];

let base: string;
let root: TestRoot;
/** A directory of the machine's own file system, with the mount flags that the env's mount has. */
let oracle: string;
let mountpoint: string;
let sets = 0;

const bind = (directory: string) => output('mount', ['--bind', directory, directory]);
const remount = (directory: string, flags: string) =>
  output('mount', ['-i', '-o', `remount,bind,${flags}`, directory]);
const flags = (flags: string) =>
  Promise.all([oracle, mountpoint].map((directory) => remount(directory, flags)));

beforeEach(async () => {
  base = newDir();
  oracle = path.join(base, 'oracle');
  const below = path.join(base, 'below');
  for (const directory of [oracle, below]) {
    mkdirSync(directory);
    await bind(directory);
  }
  await remount(oracle, 'relatime');
  // The opposite of what the env's mount says.
  await remount(below, 'noatime');
  root = await TestRoot.create({}, below);
  mountpoint = await root.mounted('e', root.directory('tree'));
});

afterEach(async () => {
  await root.dispose();
  for (const name of ['below', 'oracle']) await output('umount', [path.join(base, name)]);
  removeDir(base);
});

/** Runs the probe on directories; what each step moved in each. */
const run = async (steps: string, dirs: readonly string[]): Promise<string[][][]> =>
  JSON.parse(
    await output(process.execPath, ['--import', 'tsx', PROBE, steps, ...dirs]),
  ) as string[][][];

/** The same directory in the env and on the machine's file system. */
const pair = (set = sets++): string[] =>
  [mountpoint, oracle].map((directory) => path.join(directory, `set-${set}`));

const ofEnv = async (steps: string): Promise<string[][]> =>
  (await run(steps, pair().slice(0, 1)))[0]!;

test('relatime, strictatime and noatime, also by a remount; a read-only mount moves none', async () => {
  const relative = [[], ALL, ['directory']];
  expect(await run('make,read,again', pair())).toEqual([relative, relative]);

  await flags('strictatime');
  // The driver sees a moment later what its mount's flags are now.
  await expect
    .poll(() => ofEnv('make,read,read').then((moved) => moved[2]), SOON)
    .toContain('file');
  const strict = await run('fresh,again', pair());
  // The kernel keeps a symlink that it has read, and follows it without us.
  const listed = strict.map((each) => each.map((kinds) => kinds.filter((k) => k !== 'symlink')));
  expect(listed).toEqual([
    [
      ['file', 'directory'],
      ['file', 'directory'],
    ],
    [
      ['file', 'directory'],
      ['file', 'directory'],
    ],
  ]);

  const made = Array.from({ length: 10 }, () => pair());
  await run('make', made.flat());
  await flags('ro,strictatime');
  await expect.poll(() => run('read', made.pop()!), SOON).toEqual([[[]], [[]]]);

  await flags('rw,noatime');
  const none = [[], [], []];
  expect(await run('make,read,again', pair())).toEqual([none, none]);
});
