import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { keepReadyForMoves } from '../../src/manager/envs/runtime/group-moves.ts';

const groups = (): string => readFileSync('/proc/self/cgroup', 'utf8');
const openGroups = (): string[] =>
  readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return '';
      }
    })
    .filter((target) => target.endsWith('/cgroup.procs'));

test('this process is "moved" to its own group as long as anybody starts an env', async () => {
  const before = groups();
  const [first, second] = [keepReadyForMoves(), keepReadyForMoves()];
  expect(openGroups()).toHaveLength(1);
  first();
  first();
  expect(openGroups()).toHaveLength(1);
  second();
  await expect.poll(openGroups, { timeout: 30_000 }).toEqual([]);
  expect(groups()).toBe(before);

  const again = keepReadyForMoves();
  expect(openGroups()).toHaveLength(1);
  again();
  await expect.poll(openGroups, { timeout: 30_000 }).toEqual([]);
});
