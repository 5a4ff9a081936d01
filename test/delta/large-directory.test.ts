import { afterEach, beforeEach, expect, test } from 'vitest';
import { ROOT_INO } from '../../src/base/ids.ts';
import { S_IFREG } from '../../src/base/mode.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { ino, name, open } from './open-env.ts';

const CHUNK = 100;
let dir: string;
beforeEach(() => {
  dir = newDir();
});
afterEach(() => removeDir(dir));

function commit(delta: EnvDelta): void {
  if (delta.commit() !== 0) throw new Error('commit failed');
}

function fill(delta: EnvDelta, count: number): void {
  for (let i = 0; i < count; i++) {
    delta.begin().setName(ROOT_INO, name(`file-${i}`), ino(1000 + i), S_IFREG);
    commit(delta);
  }
}

/** As `rm -rf`: lists a chunk, removes it, goes on after its last cookie. Milliseconds per name. */
function removeAll(delta: EnvDelta, count: number): number {
  const start = performance.now();
  let removed = 0;
  let after = 0;
  for (;;) {
    const part = delta.list(ROOT_INO, after, CHUNK);
    if (part.length === 0) break;
    for (const entry of part) {
      delta.begin().clearName(ROOT_INO, entry.name);
      commit(delta);
      after = entry.cookie;
      removed++;
    }
  }
  expect(removed).toBe(count);
  return (performance.now() - start) / count;
}

test.each([false, true])(
  '100,000 names are removed in linear time (checkpointed: %s)',
  async (done) => {
    const cost: number[] = [];
    for (const count of [10_000, 100_000]) {
      const delta = await open(dir, { checkpointRecords: 1_000_000 });
      fill(delta, count);
      if (done) await delta.checkpoint();
      cost.push(removeAll(delta, count));
      expect(delta.list(ROOT_INO, 0, CHUNK)).toEqual([]);
      await delta.close();
    }
    // Quadratic cost would be ten times as much per name; four leaves room for a busy machine.
    expect(cost[1]! / cost[0]!).toBeLessThan(4);
  },
  120_000,
);

test('a listing sees what was added and removed behind and before its cookie', async () => {
  const delta = await open(dir);
  fill(delta, 1000);
  await delta.checkpoint();
  const first = delta.list(ROOT_INO, 0, 500);
  const after = first.at(-1)!.cookie;
  fill(delta, 2000);
  delta.begin().clearName(ROOT_INO, delta.list(ROOT_INO, after, 1)[0]!.name);
  delta.commit();
  const rest = delta.list(ROOT_INO, after, 10_000);
  const behind = delta.list(ROOT_INO, 0, 10_000).filter((entry) => entry.cookie <= after);
  expect(behind.length + rest.length).toBe(1999);
  expect(rest.every((entry) => entry.cookie > after)).toBe(true);
  await delta.close();
});
