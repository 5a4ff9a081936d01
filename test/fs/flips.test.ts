/**
 * Random histories with flips, on the filesystem core alone: many more than a kernel would see in the same time. It is cold
 * at each step, for nothing is cached; and what happens while a flip is under way happens where the test wants it.
 */
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isDir } from '../../src/base/mode.ts';
import { type Operation, operation, operationOrFlip } from '../model/operation.ts';
import { FLIP_REGRESSIONS } from '../model/regressions.ts';
import { LocalEnv, LocalStore } from '../support/fuse/local-env.ts';
import { propertyRuns } from '../support/machine/property-runs.ts';
import { Pair } from './history.ts';

const RUNS = propertyRuns(40);
const STEPS_MAX = 60;
const TEST_MS = Math.max(60_000, RUNS.numRuns * 500);

const local = new LocalStore();
beforeAll(() => local.open());
afterAll(() => local.close());

async function check<T>(values: fc.Arbitrary<T>, holds: (value: T) => Promise<void>) {
  await fc.assert(fc.asyncProperty(values, holds), RUNS);
}

const history = (step: fc.Arbitrary<Operation>) =>
  fc.array(step, { minLength: 1, maxLength: STEPS_MAX, size: 'max' });

/** Does a history; calls `work` with the env, which then must be whole. */
async function withEnv(work: (env: LocalEnv) => Promise<void>): Promise<void> {
  const env = await LocalEnv.create(local);
  try {
    await work(env);
    expect(await env.problems()).toEqual([]);
  } finally {
    await env.end();
  }
}

async function checkHistory(steps: readonly Operation[]): Promise<void> {
  await withEnv(async (env) => {
    const pair = new Pair(env);
    for (const step of steps) await pair.do(step);
    await pair.compare();
  });
}

test('an env has what it set, and else what the templates have', { timeout: TEST_MS }, () =>
  check(history(operationOrFlip), checkHistory),
);

test.each(Object.entries(FLIP_REGRESSIONS))('%s', (_, steps) => checkHistory(steps));

/** A way, and what happens after each of the flip's three steps. */
const disturbed = fc.record({
  to: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 3 })),
  steps: fc.array(fc.array(operation, { maxLength: 4 }), { minLength: 3, maxLength: 3 }),
  /** The driver might die when so many steps are left. */
  dies: fc.nat(6),
});

/** Directories have as many links as their subdirectories make. */
async function checkLinks(env: LocalEnv): Promise<void> {
  const seen = await env.vfs.visit();
  const parents = seen
    .filter(({ attr }) => isDir(attr.mode))
    .map(({ path: at }) => path.dirname(at));
  for (const { path: at, attr } of seen) {
    if (!isDir(attr.mode)) continue;
    expect(attr.nlink, at).toBe(2 + parents.filter((parent) => parent === at).length);
  }
}

test('what comes while a flip is under way leaves the env whole', { timeout: TEST_MS }, () =>
  check(
    fc.array(fc.oneof({ weight: 3, arbitrary: operation }, disturbed), { maxLength: 30 }),
    (steps) =>
      withEnv(async (env) => {
        for (const step of steps) {
          if ('op' in step) await env.vfs.do(step);
          else {
            const left = [...step.steps];
            const between = async (): Promise<void> => {
              for (const each of left.shift() ?? []) await env.vfs.do(each);
              if (left.length !== step.dies) return;
              const heir = await env.heir(step.to);
              expect(await heir.problems(), 'after a death').toEqual([]);
              await checkLinks(heir);
              await heir.end();
            };
            await env.flip(step.to, { between });
          }
          expect(await env.problems(), JSON.stringify(step)).toEqual([]);
        }
        await checkLinks(env);
      }),
  ),
);
