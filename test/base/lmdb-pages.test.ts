/** Pages that LMDB can't be given, each found by the walk over them. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { open } from 'lmdb';
import { expect, test } from 'vitest';
import { META_PAGES, TRANSACTION_AT, WRITTEN_AT } from '../../src/base/lmdb-format.ts';
import { pageDamage } from '../../src/base/lmdb-pages.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';

const PAGE = 4096;

test('a page that seems to be of a transaction to come: LMDB would write to it in its mapping', async () => {
  const dir = newDir();
  const tables = open<number, number>({ path: dir, noSubdir: false });
  for (let i = 0; i < 1000; i++) tables.putSync(i, i);
  await tables.close();
  const file = path.join(dir, 'data.mdb');
  const whole = readFileSync(file);
  expect(pageDamage(file)).toBeNull();
  let inUse = 0;
  for (let page = META_PAGES; page < whole.length / PAGE; page++) {
    const changed = Buffer.from(whole);
    changed[page * PAGE + WRITTEN_AT + 5]! ^= 0x80;
    writeFileSync(file, changed);
    const damage = pageDamage(file);
    if (damage !== null) inUse++;
    // What is free is not looked at: its bytes mean nothing.
    expect([null, `its page ${page} is of a transaction that was not made`]).toContain(damage);
  }
  expect(inUse).toBeGreaterThan(2);
  removeDir(dir);
});

test('a last page far beyond the end of the file: LMDB would write new pages there', async () => {
  const dir = newDir();
  const tables = open<number, number>({ path: dir, noSubdir: false });
  for (let i = 0; i < 1000; i++) tables.putSync(i, i);
  await tables.close();
  const file = path.join(dir, 'data.mdb');
  const whole = readFileSync(file);
  const metas = [0, PAGE].map((start) => ({
    start,
    transaction: whole.readBigUInt64LE(start + TRANSACTION_AT),
  }));
  const { start } = metas.sort((a, b) => Number(b.transaction - a.transaction))[0]!;
  // The number of the last page stands before that of the transaction.
  const at = start + TRANSACTION_AT - 8;
  for (let bit = 12; bit < 53; bit++) {
    const changed = Buffer.from(whole);
    changed[at + (bit >> 3)]! ^= 1 << (bit & 7);
    writeFileSync(file, changed);
    expect(pageDamage(file)).toMatch(/^its last page is \d+, and the file has \d+$/);
  }
  removeDir(dir);
});
