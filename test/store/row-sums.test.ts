/** Rows of the store carry sums: no bit of a key or a value is another one unnoticed, and older rows are read as they are. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Damaged } from '../../src/base/damaged.ts';
import { importTemplate } from '../../src/manager/templates/import.ts';
import { WITHOUT_SUMS, writeMarker } from '../../src/store/marker.ts';
import { hasDamagedRow } from '../../src/store/row-damage.ts';
import { initRoot, metaDir, openStore } from '../../src/store/store.ts';
import { openTables, type Tables } from '../../src/store/tables.ts';
import { upgradeRoot } from '../../src/store/upgrade.ts';
import { flip, rawRows, replaceRaw } from '../support/damage/raw-rows.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';

const WITH_SUM = 0xfc;

let base: string;
let root: string;

beforeEach(async () => {
  base = newDir();
  root = path.join(base, 'root');
  await initRoot(root);
  await fill();
});
afterEach(() => removeDir(base));

async function fill(): Promise<void> {
  const tree = path.join(base, 'tree');
  mkdirSync(path.join(tree, 'etc/deep'), { recursive: true });
  for (const name of ['a', 'etc/b', 'etc/deep/c']) writeFileSync(path.join(tree, name), name);
  const store = await openStore(root, { write: true });
  await importTemplate(store, 'os', tree);
  writeFileSync(path.join(tree, 'etc/b'), 'other');
  await importTemplate(store, 'os', tree);
  store.createEnv({ name: 'web', stack: ['os'] });
  await store.close();
}

async function read<T>(work: (tables: Tables) => T): Promise<T> {
  const tables = openTables(metaDir(root), { write: false });
  try {
    return work(tables);
  } finally {
    await tables.close();
  }
}

test('each row has a sum, and any other bit of it is told and put right', async () => {
  const rows = await rawRows(root);
  expect(rows.length).toBeGreaterThan(30);
  expect(rows.every(({ value }) => value[0] === WITH_SUM)).toBe(true);
  expect(hasDamagedRow(path.join(metaDir(root), 'data.mdb'))).toBe(false);
  const tried = new Set<string>();
  for (const [i, row] of rows.entries()) {
    // A key can't be another row's.
    const bits = 8 * (row.key.length + row.value.length);
    for (const bit of [i % (8 * row.key.length), bits - 1 - ((37 * i) % bits)]) {
      const flipped = flip(row, [bit]);
      await replaceRaw(root, row, flipped.key, flipped.value);
      await read((tables) => {
        const table = tables.table(row.table);
        expect(() => [...table.getRange()], row.table).toThrow(Damaged);
        expect(() => [...table.getKeys()], row.table).toThrow(Damaged);
        expect(() => table.get(flipped.key), row.table).toThrow(`(table ${row.table})`);
        expect(() => table.has(flipped.key), row.table).toThrow(Damaged);
        const mended = table.findUnchecked(flipped.key)!.mended()!;
        expect(mended.key.equals(row.key)).toBe(true);
        expect(mended.value.equals(row.value.subarray(1, -4))).toBe(true);
      });
      expect(hasDamagedRow(path.join(metaDir(root), 'data.mdb'))).toBe(true);
      await replaceRaw(root, { ...row, ...flipped }, row.key, row.value);
    }
    tried.add(row.table);
  }
  expect(tried.size).toBeGreaterThan(10);
});

/** Takes their sums away from all rows, as an older byref left them. */
async function makeOlder(): Promise<void> {
  for (const row of await rawRows(root))
    await replaceRaw(root, row, row.key, row.value.subarray(1, -4));
  writeMarker(root, WITHOUT_SUMS);
}

const format = (): string => readFileSync(path.join(root, 'BYREF'), 'utf8');

test('a root without sums is read and written to as it is while its store is open, and gets them after that', async () => {
  await makeOlder();
  const reader = await openStore(root, { write: false });
  expect(reader.needEnv('web').name).toBe('web');
  await upgradeRoot(root);
  expect(format()).toBe('byref root, format 3\n');
  await reader.close();

  // Others see that the tables are open here: this process as well.
  const other = await openStore(root, { write: true });
  expect(format()).toBe('byref root, format 4\n');
  other.createEnv({ name: 'second', stack: ['os@1'] });
  await other.close();
  const rows = await rawRows(root);
  expect(rows.every(({ value }) => value[0] === WITH_SUM)).toBe(true);
  const store = await openStore(root, { write: false });
  expect(store.envs().map(({ name }) => name)).toEqual(['web', 'second']);
  await store.close();
});

test('what is written meanwhile has no sums either', async () => {
  await makeOlder();
  const writer = await openStore(root, { write: 'on-demand' });
  await writer.close();
  // An upgrade that was cut short between its transaction and the marker is made once more.
  writeMarker(root, WITHOUT_SUMS);
  const tables = openTables(metaDir(root), { write: true });
  tables.setNumber('nextPatch', 7);
  await tables.close();
  const without = async () => (await rawRows(root)).filter(({ value }) => value[0] !== WITH_SUM);
  expect((await without()).map(({ key }) => key.toString())).toEqual(['nextPatch']);
  await upgradeRoot(root);
  expect(await without()).toEqual([]);
  expect(format()).toBe('byref root, format 4\n');
  expect(await read((opened) => opened.number('nextPatch'))).toBe(7);
});
