import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TREE } from '../support/program.ts';
import { TestRoot } from '../support/root.ts';

const ROUNDS = 15;
/** "byref list takes at most 1.6 times a bare node". */
const RATIO_MAX = 1.6;

let root: TestRoot;

beforeAll(async () => {
  root = await TestRoot.create();
  await root.ok('list');
});
afterAll(() => root.dispose());

/** The fastest of interleaved rounds: what other tests take from the machine hits both alike. */
test('list starts nearly as fast as node itself', () => {
  const list = [path.join(TREE, 'bin/byref'), 'list'];
  let [bare, byref] = [Infinity, Infinity];
  for (let round = 0; round < ROUNDS; round++) {
    bare = Math.min(bare, elapsed(['-e', '0']));
    byref = Math.min(byref, elapsed(list));
  }
  expect(byref / bare).toBeLessThanOrEqual(RATIO_MAX);
});

function elapsed(args: readonly string[]): number {
  const from = performance.now();
  const { status } = spawnSync(process.execPath, args, { env: root.env });
  expect(status).toBe(0);
  return performance.now() - from;
}
