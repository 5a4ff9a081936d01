import { cpSync } from 'node:fs';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Ino, Name } from '../../src/base/ids.ts';
import { S_IFREG } from '../../src/base/mode.ts';
import { nameCookie } from '../../src/base/name-hash.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { readDelta } from '../../src/driver/delta/read-delta.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { ino, inode, name, open } from './open-env.ts';

/** The reference: two plain maps. */
class Model {
  readonly names = new Map<string, { dir: Ino; name: Name; ino: number }>();
  readonly inodes = new Map<number, number>();
}

const dirs = fc.integer({ min: 1, max: 3 }).map(ino);
const names = fc.integer({ min: 0, max: 12 }).map((number) => name(`name-${number}`));
const inos = fc.integer({ min: 10, max: 20 });
const mutation = fc.oneof(
  fc.record({ kind: fc.constant('setName'), dir: dirs, name: names, ino: fc.nat(40) }),
  fc.record({ kind: fc.constant('clearName'), dir: dirs, name: names, ino: fc.constant(0) }),
  fc.record({ kind: fc.constant('setInode'), dir: dirs, name: names, ino: inos }),
  fc.record({ kind: fc.constant('clearInode'), dir: dirs, name: names, ino: inos }),
);
const step = fc.oneof(
  { weight: 8, arbitrary: fc.array(mutation, { minLength: 1, maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constant('checkpoint' as const) },
  { weight: 1, arbitrary: fc.constant('checkpointLater' as const) },
  { weight: 1, arbitrary: fc.constant('reopen' as const) },
  { weight: 1, arbitrary: fc.constant('crash' as const) },
  { weight: 1, arbitrary: fc.constant('flush' as const) },
);

type Mutation = (typeof mutation extends fc.Arbitrary<infer T> ? T : never) & { kind: string };
let uid = 0;

function apply(delta: EnvDelta, model: Model, mutations: readonly Mutation[]): void {
  const change = delta.begin();
  for (const { kind, dir, name: each, ino: number } of mutations) {
    const key = `${dir}/${each}`;
    if (kind === 'setName') {
      change.setName(dir, each, number as Ino, S_IFREG);
      model.names.set(key, { dir, name: each, ino: number });
    } else if (kind === 'clearName') {
      change.clearName(dir, each);
      model.names.delete(key);
    } else if (kind === 'setInode') {
      change.setInode(inode(number, { uid: ++uid }));
      model.inodes.set(number, uid);
    } else {
      change.clearInode(ino(number));
      model.inodes.delete(number);
    }
  }
  expect(delta.commit()).toBe(0);
}

function listAll(delta: EnvDelta, dir: Ino, max: number): Name[] {
  const out: Name[] = [];
  let after = 0;
  for (;;) {
    const part = delta.list(dir, after, max);
    if (part.length === 0) return out;
    for (const entry of part) {
      expect(entry.cookie).toBeGreaterThanOrEqual(after);
      after = entry.cookie;
      out.push(entry.name);
    }
  }
}

function check(delta: EnvDelta, model: Model): void {
  for (let number = 10; number <= 20; number++) {
    expect(delta.inode(ino(number))?.uid).toBe(model.inodes.get(number));
  }
  for (const dir of [1, 2, 3].map(ino)) {
    const there = [...model.names.values()].filter((entry) => entry.dir === dir);
    for (const entry of there) {
      expect(delta.name(dir, entry.name)?.ino).toBe(entry.ino);
      expect(delta.hasNames(dir)).toBe(true);
    }
    const expected = there.map((entry) => entry.name).sort((a, b) => nameCookie(a) - nameCookie(b));
    for (const max of [1, 3, 100]) expect(listAll(delta, dir, max)).toEqual(expected);
  }
}

async function checkView(dir: string, model: Model): Promise<void> {
  const view = await readDelta(dir);
  const seen = [...view.changedNames()].map((entry) => `${entry.dir}/${entry.name}=${entry.ino}`);
  const expected = [...model.names].map(([key, entry]) => `${key}=${entry.ino}`);
  expect(seen.sort()).toEqual(expected.sort());
  const inodes = [...view.inodes()].map((record) => [record.ino, record.uid]);
  expect(new Map(inodes as [number, number][])).toEqual(model.inodes);
  expect(view.damage).toBeNull();
  await view.close();
}

test('random changes, checkpoints and crashes leave what a plain map would hold', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      let dir = newDir();
      const model = new Model();
      let delta = await open(dir, { keepOrphans: true });
      const background: Promise<void>[] = [];
      try {
        for (const each of steps) {
          if (each === 'checkpoint') await delta.checkpoint();
          else if (each === 'checkpointLater') background.push(delta.checkpoint());
          else if (each === 'flush') expect(await delta.flush()).toBe(0);
          else if (each === 'reopen') {
            await delta.close();
            delta = await open(dir, { keepOrphans: true });
          } else if (each === 'crash') {
            // What a killed process leaves: the files as they are.
            await Promise.all(background);
            const copy = newDir();
            cpSync(dir, copy, { recursive: true });
            await delta.close();
            removeDir(dir);
            dir = copy;
            delta = await open(dir, { keepOrphans: true });
          } else apply(delta, model, each);
          check(delta, model);
        }
        await Promise.all(background);
        await checkView(dir, model);
      } finally {
        await delta.close();
        removeDir(dir);
      }
    }),
    { numRuns: Number(process.env.BYREF_MODEL_RUNS ?? 60) },
  );
}, 240_000);
