import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ino, type Name, nameFromText, ROOT_INO } from '../../src/base/ids.ts';
import { isDir } from '../../src/base/mode.ts';
import { nameCookie } from '../../src/base/name-hash.ts';
import type { LowerTree } from '../../src/driver/core/ports.ts';
import { initRoot, openStore, type Store } from '../../src/store/store.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import {
  addVersion,
  type Merged,
  merge,
  nodeOf,
  type Tree,
  tree,
} from '../support/trees/random-trees.ts';

let store: Store;
let scratch: string;
beforeAll(async () => {
  scratch = newDir();
  await initRoot(path.join(scratch, 'root'));
  store = await openStore(path.join(scratch, 'root'), { write: true });
});
afterAll(async () => {
  await store.close();
  removeDir(scratch);
});

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'absent'].map(nameFromText);
let made = 0;

/** LowerTree of new templates, one per list of versions; `versions[i]` is what stack[i] is at. */
function layersOf(histories: readonly (readonly Tree[])[], versions: readonly number[]): LowerTree {
  const stack = histories.map((history, i) => {
    const name = `t${made++}`;
    for (const content of history) addVersion(store, name, content, i);
    return { templateId: store.template(name)?.id ?? 0, version: versions[i] ?? 1 };
  });
  return store.lowerTree(stack);
}

function listAll(lower: LowerTree, dir: Ino, page: number): Map<Name, number> {
  const all = new Map<Name, number>();
  let after = 0;
  for (;;) {
    const entries = lower.list(dir, after, page);
    if (entries.length === 0) return all;
    for (const { name, cookie, record } of entries) {
      expect(cookie).toBe(nameCookie(name));
      expect(cookie).toBeGreaterThanOrEqual(after);
      expect(all.has(name)).toBe(false);
      all.set(name, record.ino);
    }
    after = entries.at(-1)?.cookie ?? 0;
  }
}

/** The directory answers as the merged tree says, by every way of asking. */
function check(lower: LowerTree, dir: Ino, expected: Merged, page: number): void {
  const children = expected.children ?? new Map<string, Merged>();
  const record = lower.inode(dir);
  const subdirectories = [...children.values()].filter((child) => child.children !== null).length;
  expect(record).toMatchObject({ ino: dir, uid: expected.uid, nlink: 2 + subdirectories });
  expect([...listAll(lower, dir, page).keys()].sort()).toEqual([...children.keys()].sort());
  for (const name of NAMES) {
    const child = children.get(name);
    const found = lower.lookup(dir, name);
    if (child === undefined || found === null) {
      expect([child, found]).toEqual([undefined, null]);
      continue;
    }
    expect(found).toMatchObject({ uid: child.uid, target: child.target ?? '' });
    expect(listAll(lower, dir, page).get(name)).toBe(found.ino);
    expect(lower.names(found.ino)).toContainEqual({ dir, name });
    expect(lower.inode(found.ino)).toEqual(found);
    if (isDir(found.mode)) check(lower, found.ino, child, page);
  }
}

describe('merged templates', () => {
  it('answer as the trees merged the slow way, whichever versions are seen', () => {
    const history = fc.array(tree, { minLength: 1, maxLength: 4 });
    const stacks = fc
      .array(history, { minLength: 1, maxLength: 4 })
      .chain((histories) =>
        fc.tuple(
          fc.constant(histories),
          fc.tuple(...histories.map(({ length }) => fc.integer({ min: 1, max: length }))),
          fc.constantFrom(1, 2, 100),
        ),
      );
    fc.assert(
      fc.property(stacks, ([histories, versions, page]) => {
        const lower = layersOf(histories, versions);
        const seen = histories.map((history, i) => nodeOf(history[versions[i]! - 1]!, i));
        check(lower, ROOT_INO, merge(seen.reverse()), page);
      }),
      { numRuns: 150 },
    );
  });

  it('have a stamp of their own per stack, the same in every process, never 0', async () => {
    const one = layersOf([[{ a: 'x' }, { a: 'y' }], [{ b: 'x' }]], [1, 1]);
    expect(one.stamp).toBeGreaterThan(0);
    const first = store.templates().at(0)?.id ?? 0;
    const stamps = [1, 2].map((version) => store.lowerTree([{ templateId: first, version }]).stamp);
    expect(new Set([...stamps, one.stamp]).size).toBe(3);
    const reader = await openStore(store.root, { write: false });
    expect(reader.lowerTree([{ templateId: first, version: 2 }]).stamp).toBe(stamps[1]);
    await reader.close();
  });

  // The kernel's first READDIR of a directory has cookie 0, and the core lists names from behind "..", at 2.
  it.each([0, 1, 2])('keep a directory that is listed from cookie %i on', (start) => {
    const files = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}`, 'x']));
    const lower = layersOf([[{ d: files }]], [1]);
    const dir = lower.lookup(ROOT_INO, nameFromText('d'))!.ino;
    const all = lower.list(dir, start, 1000);
    expect(new Set(all.map(({ name }) => name))).toEqual(
      new Set(Object.keys(files).map(nameFromText)),
    );
    // Kept, the entries are the very same ones; read again, they would be equal at best.
    const same = (after: number, max: number, from: number, to?: number): void => {
      const page = lower.list(dir, after, max);
      expect(page.length).toBe(all.slice(from, to).length);
      expect(page.every((entry, i) => entry === all[from + i])).toBe(true);
    };
    for (const again of [0, 1, 2]) same(again, 1000, 0);
    same(2, 256, 0, 256);
    same(all[0]!.cookie, 256, 1, 257);
    same(all[255]!.cookie, 256, 256);
    same(all.at(-1)!.cookie, 256, 300);
  });

  it('list a directory that is too large to keep, page by page', () => {
    const files = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`f${i}`, 'x']));
    const lower = layersOf([[{ d: files }]], [1]);
    const dir = lower.lookup(ROOT_INO, nameFromText('d'))!.ino;
    for (const page of [256, 5000]) expect(listAll(lower, dir, page).size).toBe(5000);
    for (const start of [0, 1, 2]) {
      const entries = lower.list(dir, start, 256);
      expect(entries.length).toBe(256);
      expect(entries).toEqual(lower.list(dir, 0, 256));
    }
  });

  it('share one ino per directory path', () => {
    const [one, two] = [
      layersOf([[{ shared: { x: 'x' } }]], [1]),
      layersOf([[{ shared: {} }]], [1]),
    ];
    const name = nameFromText('shared');
    expect(one.lookup(ROOT_INO, name)?.ino).toBe(two.lookup(ROOT_INO, name)?.ino);
  });
});
