/** What differs between stacks of templates, and what is left of templates that lost versions. */

import { rmSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Ino, type Name, ROOT_INO } from '../../src/base/ids.ts';
import { isDir } from '../../src/base/mode.ts';
import type { InodeRecord } from '../../src/codec/inode-record.ts';
import type { LowerTree } from '../../src/driver/core/ports.ts';
import type { DiffEntry } from '../../src/driver/core/tree-diff.ts';
import { removeVersions } from '../../src/manager/upkeep/gc/remove-version.ts';
import { rawTables } from '../../src/store/raw-tables.ts';
import { initRoot, openStore, type StackRef, type Store } from '../../src/store/store.ts';
import { TreeCache } from '../../src/store/tree-cache.ts';
import { propertyRuns } from '../support/machine/property-runs.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { addTemplates, addVersion, histories, stackOf } from '../support/trees/version-trees.ts';
import { inconsistencies } from './consistency.ts';

const RUNS = propertyRuns(100);
const TEMPLATES_MAX = 3;
const ALL = 1000;

let store: Store;
let scratch: string;
let roots = 0;
beforeAll(() => {
  scratch = newDir();
});
afterAll(() => removeDir(scratch));

const picks = fc.array(fc.nat(11), { minLength: TEMPLATES_MAX, maxLength: TEMPLATES_MAX });

/** Each run in a root of its own. */
async function check<T>(values: fc.Arbitrary<T>, holds: (value: T) => void): Promise<void> {
  const property = fc.asyncProperty(values, async (value) => {
    const root = path.join(scratch, String(roots++));
    await initRoot(root);
    store = await openStore(root, { write: true });
    try {
      holds(value);
    } finally {
      await store.close();
      rmSync(root, { recursive: true });
    }
  });
  await fc.assert(property, RUNS);
}

type Tree = Map<string, InodeRecord>;

/** Every path of the layers, by listing; `lookup` says the same of each name. */
function walk(lower: LowerTree): Tree {
  const tree: Tree = new Map();
  const visit = (dir: Ino, prefix: string): void => {
    for (const { name, record } of lower.list(dir, 0, ALL)) {
      expect(lower.lookup(dir, name)).toEqual(record);
      tree.set(prefix + name, record);
      if (isDir(record.mode)) visit(record.ino, `${prefix}${name}/`);
    }
  };
  visit(ROOT_INO, '');
  return tree;
}

/** What is in each directory that a path leads to. */
function places(lower: LowerTree): Map<Ino, Map<Name, InodeRecord>> {
  const all = new Map<Ino, Map<Name, InodeRecord>>();
  const visit = (dir: Ino): void => {
    const listed = lower.list(dir, 0, ALL);
    all.set(dir, new Map(listed.map(({ name, record }) => [name, record])));
    for (const { record } of listed) if (isDir(record.mode)) visit(record.ino);
  };
  visit(ROOT_INO);
  return all;
}

/** Templates, and two of their stacks. */
const ways = fc.tuple(histories(TEMPLATES_MAX), picks, picks).map(([all, a, b]) => ({ all, a, b }));

function sides({
  all,
  a,
  b,
}: {
  all: Parameters<typeof addTemplates>[1];
  a: number[];
  b: number[];
}) {
  const ids = addTemplates(store, all);
  const [from, to] = [stackOf(store, ids, a), stackOf(store, ids, b)];
  return { ids, from, to, change: store.diffStacks(from, to) };
}

const line = ({ dir, name, was, is }: DiffEntry): string =>
  `${dir}/${name}: ${was?.ino ?? 'nothing'} -> ${is?.ino ?? 'nothing'}`;

const bothDirs = ({ was, is }: DiffEntry): boolean =>
  was !== null && is !== null && isDir(was.mode) && isDir(is.mode);

test('the way from one stack to another has every name that differs, once', () =>
  check(ways, (way) => {
    const { from, to } = sides(way);
    checkWay(from, to);
  }));

function checkWay(before: readonly StackRef[], after: readonly StackRef[]): void {
  const change = new TreeCache(rawTables(store)).change(before, after);
  const { from, to } = change;
  const [old, now] = [places(from), places(to)];
  const reached = new Set([...old.keys(), ...now.keys()]);
  const both = [...reached].flatMap((dir) =>
    [...new Set([...(old.get(dir)?.keys() ?? []), ...(now.get(dir)?.keys() ?? [])])].map(
      (name) => ({
        dir,
        name,
        was: old.get(dir)?.get(name) ?? null,
        is: now.get(dir)?.get(name) ?? null,
      }),
    ),
  );
  // What is hidden in both by a file of another template may be named, too.
  const named = [...reached].flatMap((dir) => [...(change.byDir.get(dir)?.values() ?? [])]);
  const lines = (changes: readonly DiffEntry[]) => changes.map(line).sort();
  const differ = both.filter(({ was, is }) => was?.ino !== is?.ino);
  expect(lines(named.filter((each) => !bothDirs(each)))).toEqual(lines(differ));
  // A directory may have been changed and changed back: it is named all the same.
  const attributes = both.filter((each) => bothDirs(each) && each.was!.mode !== each.is!.mode);
  expect(lines(named.filter(bothDirs))).toEqual(expect.arrayContaining(lines(attributes)));
  expect(change.root || from.inode(ROOT_INO)!.mode === to.inode(ROOT_INO)!.mode).toBe(true);
}

test('on the way no path is missing that both have, and each is as one of them has it', () =>
  check(ways, (way) => {
    const { change } = sides(way);
    const [before, after] = [walk(change.from), walk(change.to)];
    for (const [step, first] of [
      [change.adding, before],
      [change.changing, after],
    ] as const) {
      const shown = new Set<string>();
      const visit = (dir: Ino, prefix: string): void => {
        const listed = new Map(step.list(dir, 0, ALL).map(({ name, record }) => [name, record]));
        for (const name of ['a', 'b', 'c', 'd'] as Name[]) {
          const at = prefix + name;
          const record = step.lookup(dir, name);
          const either = [before.get(at), after.get(at)];
          if (first.has(at)) expect(record).toEqual(first.get(at));
          if (record === null) continue;
          shown.add(at);
          if (listed.has(name)) expect(listed.get(name)).toEqual(record);
          else expect(either).toContain(undefined);
          expect(step.inode(record.ino)).not.toBeNull();
          if (isDir(record.mode)) visit(record.ino, `${at}/`);
        }
      };
      visit(ROOT_INO, '');
      expect([...shown]).toEqual(expect.arrayContaining([...first.keys()]));
    }
  }));

/** The stack's layers as a process that starts now reads them. */
const anew = (stack: readonly StackRef[]): LowerTree =>
  new TreeCache(rawTables(store)).lowerTree(stack);

/** Adds the next version of a template, if there is one left, or removes one of those there are. */
interface Step {
  readonly what: 'add' | 'remove';
  readonly pick: number;
}
const step = fc.record<Step>({ what: fc.constantFrom('add', 'remove'), pick: fc.nat(11) });
const lives = fc.tuple(histories(2), fc.array(step, { minLength: 1, maxLength: 8 }));

test('versions that come and go leave the others as they were, and the rows go together', () =>
  check(lives, ([all, steps]) => {
    const ids = addTemplates(
      store,
      all.map((history) => history.slice(0, 1)),
    );
    const left = all.map((history) => history.slice(1));
    /** What each version has, by reference, when it was added. */
    const there = new Map<StackRef, unknown>();
    const remember = (templateId: number): void => {
      const ref = { templateId, version: store.catalog.byId(templateId)!.newest };
      there.set(ref, describe(store.lowerTree([ref])));
    };
    ids.forEach(remember);
    for (const { what, pick } of steps) {
      const which = pick % ids.length;
      if (what === 'add') {
        const content = left[which]!.shift();
        if (content === undefined) continue;
        addVersion(store, ids[which]!, content, 'os');
        remember(ids[which]!);
      } else {
        const ref = [...there.keys()][pick % there.size]!;
        if (store.versions(ref.templateId).length === 1) continue;
        removeVersions(store, [ref]);
        there.delete(ref);
      }
      expect(inconsistencies(store)).toEqual([]);
      for (const [ref, was] of there) {
        expect(describe(anew([ref]))).toEqual(was);
        expect(describe(store.lowerTree([ref]))).toEqual(was);
      }
    }
    for (const from of there.keys()) for (const to of there.keys()) checkWay([from], [to]);
  }));

/** All that is to be known of the layers. */
function describe(lower: LowerTree): unknown {
  const tree = walk(lower);
  const inodes = [...tree.values()].map(({ ino }) => [lower.inode(ino), lower.names(ino)]);
  return [[...tree], inodes, lower.inode(ROOT_INO)];
}
