import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { processesOf } from '../support/machine/leftovers.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

/** Loaded by each Node that starts, whoever starts it: notes that, and waits for so many drivers to have started. */
const COUNTER = `
  const { appendFileSync, readFileSync } = require('node:fs');
  const program = require('node:path').basename(process.argv[1]);
  appendFileSync(process.env.STARTED, program + '\\n');
  const drivers = () => readFileSync(process.env.STARTED, 'utf8').split('byref-driver.cjs').length - 1;
  while (program === 'byref-driver.cjs' && drivers() < process.env.DRIVERS)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
`;

let root: TestRoot;

beforeEach(async () => {
  root = await TestRoot.create();
  for (const template of ['t', 'u']) await root.import(template, root.directory(template));
  for (const [env, os] of [
    ['one', 't'],
    ['two', 't'],
    ['three', 'u'],
  ] as const)
    await root.create(env, os);
  writeFileSync(path.join(root.base, 'counter.cjs'), COUNTER);
});
afterEach(() => root.dispose());

/** The Node programs that a command is, and starts; its drivers go on when so many have started. */
async function startsOf(drivers: number, ...command: string[]): Promise<string[]> {
  const started = path.join(root.base, 'started');
  writeFileSync(started, '');
  const preload = `--require ${path.join(root.base, 'counter.cjs')}`;
  const counted = { NODE_OPTIONS: preload, STARTED: started, DRIVERS: String(drivers) };
  const { code, stderr } = await root.run(command, { env: { ...root.env, ...counted } });
  expect(code, stderr).toBe(0);
  return readFileSync(started, 'utf8').trim().split('\n');
}

test('the first mount starts one Node besides the command, and one more env of any template none', async () => {
  root.env['BYREF_IDLE_EXIT_MS'] = '5000';
  expect(await startsOf(1, 'mount', 'one')).toEqual(['byref.cjs', 'byref-driver.cjs']);
  const before = root.processes();
  expect(before).toHaveLength(2);
  expect(await startsOf(1, 'mount', 'two')).toEqual(['byref.cjs']);
  expect(await startsOf(1, 'mount', 'three')).toEqual(['byref.cjs']);
  expect(root.processes()).toEqual(before);
});

test('drivers of several shards start together', async () => {
  const other = `${root.path}2`;
  const byref = (...words: string[]): Promise<string> => root.ok(...words, '--root', other);
  await byref('init', '--shards', '2');
  await byref('template', 'import', 't', root.directory('t'));
  for (const env of ['one', 'two']) await byref('create', env, '--os', 't');
  expect(await startsOf(2, 'mount', '--all', '--root', other)).toEqual([
    ...['byref.cjs', 'byref-driver.cjs', 'byref-driver.cjs'],
  ]);
  await byref('umount', '--all');
  await expect.poll(() => processesOf(other), { timeout: 10_000 }).toEqual([]);
});

test('a root that is made where one was removed has nothing to do with that', async () => {
  root.env['BYREF_IDLE_EXIT_MS'] = '5000';
  await root.mounted('e', root.directory('tree'));
  for (const part of ['BYREF', 'meta']) rmSync(path.join(root.path, part), { recursive: true });
  const refused = await root.byref('init');
  expect(refused.code).toBe(EXIT.busy);
  expect(refused.stderr).toContain('are still mounted');
  expect((await sh('umount "$1"', [path.join(root.path, 'mnt/e')])).code).toBe(0);
  rmSync(root.path, { recursive: true });
  // The driver of what was removed waits for the next mount.
  expect(root.processes()).not.toEqual([]);
  await root.ok('init', '--shards', '1');
  await root.mounted('e', root.directory('tree'));
  await root.umount('e');
});
