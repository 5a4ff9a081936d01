/** A link table that is read without LMDB: the same rows, as of one moment, and its pages are not walked over for it. */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Ino, ROOT_INO } from '../../src/base/ids.ts';
import { pageDamage } from '../../src/base/lmdb-pages.ts';
import { S_IFREG } from '../../src/base/mode.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { LINK_DIR } from '../../src/driver/delta/layout.ts';
import { LinkTable } from '../../src/driver/delta/link-table.ts';
import { Overwritten } from '../../src/driver/delta/paged-file.ts';
import { OwnTable, PagedTable } from '../../src/driver/delta/paged-table.ts';
import { readDelta } from '../../src/driver/delta/read-delta.ts';
import type { TableView } from '../../src/driver/delta/table-view.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { ino, inode, name, open } from './open-env.ts';

vi.mock(import('../../src/base/lmdb-pages.ts'), async (original) => {
  const module = await original();
  return { ...module, pageDamage: vi.fn(module.pageDamage) };
});

let dir: string;
beforeEach(() => {
  dir = newDir();
  vi.mocked(pageDamage).mockClear();
});
afterEach(() => removeDir(dir));

const DIRS = 24;
const NAMES = 60;

/** Fills an env: directories with names, whiteouts, orphans, and attributes too long for a page. */
async function fill(delta: EnvDelta): Promise<void> {
  for (let d = 1; d <= DIRS; d++) {
    const change = delta.begin();
    for (let n = 0; n < NAMES; n++) {
      const number = ino(d * 1000 + n);
      change.setName(ino(d), name(`name-${n}`), n % 7 === 0 ? 0 : number, S_IFREG);
      const long = Buffer.alloc(n === 20 && d < 5 ? 9000 : 3, n);
      const xattrs = new Map([['user.x', long]]);
      change.setInode(inode(number, { nlink: n % 30 === 0 ? 0 : 1, xattrs }));
    }
    expect(delta.commit()).toBe(0);
  }
  await delta.checkpoint();
}

/** All that a view shows, asked in every way. */
function shown(view: TableView) {
  const dirs = view.dirsBelow(1000);
  const lookups = dirs.flatMap((dir) =>
    ['name-0', 'name-1', 'name-59', 'none', ''].map((text) => view.name(dir, name(text))),
  );
  const inos = [999, 1000, 1001, 1059, 1060, 24_059, 99_999].map(ino);
  const listed = [1, 2, 20, 24, 25].map((at) => {
    const first = view.entries(ino(at), 0, null, 7);
    const last = first.at(-1);
    const more = last === undefined ? [] : view.entries(ino(at), last.cookie, last.name, 100);
    return [first, more, view.hasNames(ino(at))];
  });
  return {
    state: view.state(),
    names: [...view.allNames()],
    inodes: [...view.allInodes()],
    marked: view.marked(),
    found: inos.map((each) => [view.inode(each), view.hasInode(each), view.inodesFrom(each)]),
    ...{ dirs, lookups, listed },
  };
}

test('it shows what LMDB shows, and takes no damage for a row', async () => {
  const delta = await open(dir);
  await fill(delta);
  // What is removed leaves free pages, and pages with few rows.
  const change = delta.begin();
  for (let n = 0; n < NAMES; n++) change.clearName(ino(20), name(`name-${n}`));
  for (let n = 1; n < NAMES; n++) change.clearInode(ino(22_000 + n));
  expect(delta.commit()).toBe(0);
  await delta.checkpoint();

  const table = path.join(dir, LINK_DIR);
  const [snapshot, lmdb] = [PagedTable.whole(table)!, new LinkTable(table, true)];
  const [paged, own] = [PagedTable.open(table), OwnTable.openOwn(table)];
  const ours = shown(snapshot);
  for (const view of [lmdb, paged, own])
    expect(isDeepStrictEqual(ours, shown(view)), view.constructor.name).toBe(true);
  expect(ours.names.length).toBe((DIRS - 1) * NAMES);
  const damaged: unknown[] = [];
  const names = [...snapshot.soundNames((row) => damaged.push(row))];
  const inodes = [...snapshot.soundInodes((row) => damaged.push(row))];
  expect(isDeepStrictEqual([names, inodes], [ours.names, ours.inodes])).toBe(true);
  expect(damaged).toEqual([]);
  await Promise.all([snapshot, lmdb, paged, own, delta].map((each) => each.close()));
});

test('pages that nobody changed since a commit are not walked over', async () => {
  const delta = await open(dir);
  await fill(delta);
  for (let i = 0; i < 3; i++) {
    const view = await readDelta(dir);
    expect([...view.changedNames()]).toHaveLength(DIRS * NAMES);
    await view.close();
    const change = delta.begin();
    change.setInode(inode(ino(1001), { uid: i + 1 }));
    expect(delta.commit()).toBe(0);
    await delta.checkpoint();
  }
  await delta.close();
  expect(await (await open(dir)).close()).toBeUndefined();
  expect(pageDamage).not.toHaveBeenCalled();
});

test('it is of one moment while another thread commits', async () => {
  const delta = await open(dir);
  const all = Array.from({ length: 300 }, (_, n) => ino(5000 + n * 3));
  const table = path.join(dir, LINK_DIR);
  const commit = (uid: number): Promise<void> => {
    const change = delta.begin();
    for (const each of all) change.setInode(inode(each, { uid }));
    change.setName(ROOT_INO, name('a'), (5000 + uid) as Ino, S_IFREG);
    expect(delta.commit()).toBe(0);
    return delta.checkpoint();
  };
  await commit(0);
  for (let uid = 1; uid <= 30; uid++) {
    const state = { isDone: false };
    const done = commit(uid).then(() => {
      state.isDone = true;
    });
    while (!state.isDone) {
      const snapshot = PagedTable.whole(table);
      if (snapshot !== null) {
        const uids = new Set([...snapshot.allInodes()].map((record) => record.uid));
        expect(uids.size).toBe(1);
        expect(snapshot.name(ROOT_INO, name('a'))?.ino).toBe(5000 + [...uids][0]!);
        await snapshot.close();
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await done;
  }
  await delta.close();
});

/** Sets the owner of many inodes. */
async function own(delta: EnvDelta, uid: number): Promise<void> {
  const change = delta.begin();
  for (let n = 0; n < 3000; n++) change.setInode(inode(ino(5000 + n), { uid }));
  expect(delta.commit()).toBe(0);
  await delta.checkpoint();
}

test('what is read page by page is of one moment, or it is said that others wrote', async () => {
  const delta = await open(dir);
  await own(delta, 1);
  const table = path.join(dir, LINK_DIR);
  const opened = PagedTable.open(table);
  expect(opened.inode(ino(5000))?.uid).toBe(1);
  await own(delta, 2);
  // LMDB has not written to its pages yet.
  const uids = new Set([...opened.allInodes()].map((record) => record.uid));
  expect([...uids]).toEqual([1]);
  opened.confirm();
  await opened.close();
  const late = PagedTable.open(table);
  expect(late.inode(ino(5000))?.uid).toBe(2);
  for (const uid of [3, 4, 5]) await own(delta, uid);
  try {
    // What it yields may be of several moments, or look like damage.
    expect([...late.allInodes()].length).toBeGreaterThan(0);
  } catch {
    // As said.
  }
  expect(() => late.confirm()).toThrow(Overwritten);
  await late.close();
  expect(delta.inode(ino(7999))?.uid).toBe(5);
  await delta.close();
});

test('more pages than there is memory for, of tables in turn', async () => {
  const places = ['a', 'b'].map((each) => path.join(dir, each));
  const deltas = [];
  for (const [n, place] of places.entries()) {
    mkdirSync(place);
    const delta = await open(place);
    const change = delta.begin();
    for (let i = 0; i < 20_000; i++) {
      const xattrs = new Map([['user.x', Buffer.alloc(900, n)]]);
      change.setInode(inode(ino(5000 + i), { uid: n * 100_000 + i, xattrs }));
    }
    expect(delta.commit()).toBe(0);
    await delta.checkpoint();
    deltas.push(delta);
  }
  for (let i = 0; i < 20_000; i += 3) {
    for (const [n, delta] of deltas.entries())
      expect(delta.inode(ino(5000 + i))?.uid).toBe(n * 100_000 + i);
  }
  for (const delta of deltas) await delta.close();
});

test('a page that is damaged while the table is open is an error where it is read, not the end of the process', async () => {
  const delta = await open(dir);
  await own(delta, 1);
  const data = openSync(path.join(dir, LINK_DIR, 'data.mdb'), 'r+');
  for (let page = 2; page < 200; page++) writeSync(data, Buffer.alloc(4096), 0, 4096, page * 4096);
  closeSync(data);
  expect(() => delta.inode(ino(7000))).toThrow(/its page \d+ is another one/);
  await delta.close();
});
