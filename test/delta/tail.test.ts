/** Changes that no checkpoint takes out of memory. */
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ENOMEM, ENOSPC } from '../../src/base/errno.ts';
import { type Ino, ROOT_INO } from '../../src/base/ids.ts';
import { S_IFREG } from '../../src/base/mode.ts';
import type { EnvDelta } from '../../src/driver/delta/env-delta.ts';
import { LINK_DIR } from '../../src/driver/delta/layout.ts';
import { TailBudget } from '../../src/driver/delta/tail-budget.ts';
import { newDir, removeDir } from '../support/machine/scratch-dir.ts';
import { inode, name, open } from './open-env.ts';

const MAX = 1000;

let dir: string;
beforeEach(() => {
  dir = newDir();
});
afterEach(() => removeDir(dir));

/** Makes names until one is refused: the error, after how many. */
function fill(delta: EnvDelta): { error: number; made: number } {
  for (let made = 0; made < 10 * MAX; made++) {
    const number = delta.allocate();
    const change = delta.begin();
    change.setName(ROOT_INO, name(`file-${number}`), number, S_IFREG);
    change.setInode(inode(number));
    const error = delta.commit();
    if (error !== 0) return { error, made };
  }
  return { error: 0, made: 10 * MAX };
}

function remove(delta: EnvDelta): number {
  const [first] = delta.list(ROOT_INO, 0, 1);
  const change = delta.begin();
  change.clearName(ROOT_INO, first!.name);
  change.clearInode(first!.ino as Ino);
  return delta.commit();
}

test('what is not checkpointed is bounded: changes are refused, but for removals, until a checkpoint', async () => {
  const tailBudget = new TailBudget(MAX);
  const delta = await open(dir, { tailBudget, onError: () => {} });
  expect(fill(delta)).toEqual({ error: -ENOMEM, made: MAX / 2 });
  expect(remove(delta)).toBe(0);
  await delta.checkpoint();
  expect(tailBudget.used).toBe(0);
  expect(fill(delta).made).toBe(MAX / 2);
  await delta.close();
  expect(tailBudget.used).toBe(0);
});

test.each([
  ['target', { target: 'long'.repeat(1000) }],
  ['attributes', { xattrs: new Map([['user.a', Buffer.alloc(4000)]]) }],
  ['many attributes', { xattrs: manyXattrs() }],
])('a long %s counts as the names and inodes that take as much memory', async (_what, long) => {
  const tailBudget = new TailBudget(MAX);
  const delta = await open(dir, { tailBudget, onError: () => {} });
  const number = delta.allocate();
  const record = { ...inode(number), ...long };
  for (let times = 0; times < 2; times++) {
    delta.begin().setInode(record);
    expect(delta.commit()).toBe(0);
    expect(tailBudget.used).toBeGreaterThan(5);
    expect(tailBudget.used).toBeLessThan(100);
  }
  delta.begin().clearInode(number);
  expect(delta.commit()).toBe(0);
  expect(tailBudget.used).toBe(1);
  await delta.close();
  expect(tailBudget.used).toBe(0);
});

function manyXattrs(): Map<string, Buffer> {
  return new Map(Array.from({ length: 100 }, (_, i) => [`user.${i}`, Buffer.alloc(1)]));
}

test('an env with little is served while another has too much; a failing checkpoint loses nothing', async () => {
  const tailBudget = new TailBudget(MAX);
  const otherDir = newDir();
  // Where the link table is to be made.
  const obstacle = path.join(dir, LINK_DIR);
  const delta = await open(dir, { tailBudget, onError: () => {}, checkpointRecords: MAX / 2 });
  const other = await open(otherDir, { tailBudget, onError: () => {} });
  writeFileSync(obstacle, '');
  const { made } = fill(delta);
  await expect(delta.checkpoint()).rejects.toThrow();
  await expect.poll(() => fill(delta).error).toBe(-ENOSPC);
  const little = fill(other);
  expect(little.error).toBe(-ENOMEM);
  expect(little.made).toBeGreaterThan(10);
  rmSync(obstacle);
  await delta.checkpoint();
  expect(delta.list(ROOT_INO, 0, 10 * MAX).length).toBe(made);
  expect(fill(delta).made).toBeGreaterThan(0);
  await delta.close();
  await other.close();
  removeDir(otherDir);
});
