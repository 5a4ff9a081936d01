/** Keys out of order make lookups miss rows that are right: the walk over pages finds each such key, in leaves and in branches. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { open } from 'lmdb';
import { expect, test } from 'vitest';
import {
  BRANCH,
  FLAGS_AT,
  HEADER,
  LEAF,
  LOWER_AT,
  META_PAGES,
  NODE,
} from '../../src/base/lmdb-format.ts';
import { pageDamage } from '../../src/base/lmdb-pages.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';

const PAGE = 4096;
const ROWS = 3000;

test('a key that is another one, in a leaf or a branch, is told whenever a lookup would miss a row', async () => {
  const dir = newDir();
  const binary = { keyEncoding: 'binary', encoding: 'binary' } as const;
  const env = open<Buffer, Buffer>({ path: dir, noSubdir: false, ...binary });
  const table = env.openDB<Buffer, Buffer>('rows', binary);
  const keyOf = (n: number): Buffer => Buffer.from(`key ${String(7 * n).padStart(9, '0')}`);
  env.transactionSync(() => {
    for (let n = 0; n < ROWS; n++) table.putSync(keyOf(n), Buffer.of(1));
    // Pages are merged, too.
    for (let n = 0; n < ROWS; n += 3) table.removeSync(keyOf(n));
  });
  await env.close();
  const file = path.join(dir, 'data.mdb');
  const whole = readFileSync(file);
  expect(pageDamage(file)).toBeNull();
  const told = { leaf: 0, branch: 0 };
  for (let page = META_PAGES; page < whole.length / PAGE; page++) {
    const start = page * PAGE;
    const kind = whole.readUInt16LE(start + FLAGS_AT) & (BRANCH | LEAF);
    const nodes = kind === 0 ? 0 : whole.readUInt16LE(start + LOWER_AT) >> 1;
    if (nodes < 3) continue;
    const node = start + HEADER + whole.readUInt16LE(start + HEADER + 2 * (nodes >> 1));
    const changed = Buffer.from(whole);
    // The highest digit that tells keys apart, by one bit: the key then comes after those that follow it.
    const at = node + NODE + 'key '.length;
    if (changed.toString('latin1', node + NODE, at) !== 'key ') continue;
    changed[at]! ^= 1;
    writeFileSync(file, changed);
    const damage = pageDamage(file);
    if (damage === null) continue;
    expect(damage).toMatch(/has keys out of order/);
    told[kind === LEAF ? 'leaf' : 'branch']++;
  }
  expect(told.leaf).toBeGreaterThan(5);
  expect(told.branch).toBeGreaterThan(0);
  removeDir(dir);
});
