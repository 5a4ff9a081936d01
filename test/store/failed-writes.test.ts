/** Transactions that fail on a full disk, hundreds of them in one process, leave it whole: the next one is made when there is room. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { pageDamage } from '../../src/base/lmdb-pages.ts';
import { native } from '../../src/native/binding.ts';
import { initRoot } from '../../src/store/store.ts';
import { SmallDisk } from '../support/machine/small-disk.ts';

const PROBE = path.join(import.meta.dirname, 'failed-writes-probe.ts');
const TIMES = 3000;

let disk: SmallDisk | null = null;
afterEach(() => {
  disk?.dispose();
  disk = null;
});

const probe = (...words: string[]) =>
  spawnSync(process.execPath, ['--import', 'tsx', PROBE, ...words], { encoding: 'utf8' });

test.each([
  ['ext4', 2 ** 23],
  ['tmpfs', 2 ** 22],
  ['btrfs', 2 ** 27],
] as const)('on %s', { timeout: 180_000 }, async (type, bytes) => {
  disk = new SmallDisk(bytes, type);
  const root = path.join(disk.place, 'root');
  await initRoot(root);
  disk.fill(300_000);
  const { status, signal, stdout, stderr } = probe(
    root,
    path.join(disk.place, 'filler'),
    String(TIMES),
  );
  expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' });
  const { outcomes, all } = JSON.parse(stdout) as { outcomes: Record<string, number>; all: true };
  expect(all).toBe(true);
  const { noSpace = 0, made = 0 } = outcomes;
  expect(Object.keys(outcomes).sort(), stdout).toEqual(['made', 'noSpace']);
  expect(noSpace).toBeGreaterThan(500);
  expect(noSpace + made).toBe(TIMES);
  expect(pageDamage(path.join(root, 'meta/data.mdb'))).toBeNull();
});

test('LMDB is loaded by now, and its texts are mended', () => {
  expect(native.boundLmdbTexts()).toBeGreaterThan(0);
});

test('a process in which they could not be ends with a sentence', () => {
  const { status, signal, stderr } = probe('SPOILED');
  expect({ status, signal }).toEqual({ status: EXIT.noSpace, signal: null });
  expect(stderr).toMatch(
    /^byref: a write to tables failed \(No space left on device\), .* so it ends; nothing was changed\n {2}hint: Free some space, then run this again\.\n$/,
  );
});
