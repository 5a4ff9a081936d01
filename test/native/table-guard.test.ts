import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LinkTable } from '../../src/driver/delta/link-table.ts';
import { output } from '../support/machine/program.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';

const PROCESSES = 4;
/** LMDB alone told of an error within 250 of them in each of four tries. */
const OPENS = 1_500;

let dir: string;
beforeEach(() => {
  dir = newDir();
});
afterEach(() => removeDir(dir));

/** How many open files with such a lock this process has. */
const guards = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').includes('OFDLCK');
    } catch {
      return false;
    }
  }).length;

test('processes that open and close the same tables at once all read them', async () => {
  await LinkTable.open(dir).close();
  const script = `
    const { LinkTable } = await import('${path.resolve('src/driver/delta/link-table.ts')}');
    for (let i = 0; i < ${OPENS}; i++) await new LinkTable(process.argv[1], true).close();
  `;
  const args = ['--import', 'tsx', '--input-type=module', '-e', script, dir];
  await Promise.all(Array.from({ length: PROCESSES }, () => output(process.execPath, args)));
});

test('a lock is kept while tables are open, once for all who have them open', async () => {
  const [first, second] = [LinkTable.open(dir), LinkTable.open(dir)];
  expect(guards()).toBe(1);
  await first.close();
  expect(guards()).toBe(1);
  await second.close();
  expect(guards()).toBe(0);
});
