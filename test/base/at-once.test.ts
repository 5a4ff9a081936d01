import { setImmediate as soon } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { atOnce } from '../../src/base/at-once.ts';

it('has at most as many under way as it is told, and returns the results in order', async () => {
  let running = 0;
  let most = 0;
  const results = await atOnce([3, 1, 2, 0, 5], 2, async (rounds) => {
    most = Math.max(most, ++running);
    for (let i = 0; i < rounds; i++) await soon();
    running--;
    return rounds * 2;
  });
  expect(results).toEqual([6, 2, 4, 0, 10]);
  expect(most).toBe(2);
});

it('begins nothing after an error', async () => {
  const begun: number[] = [];
  const work = async (item: number): Promise<void> => {
    begun.push(item);
    await soon();
    if (item === 1) throw new Error('one');
    await soon();
  };
  await expect(atOnce([0, 1, 2, 3, 4], 2, work)).rejects.toThrow('one');
  await soon();
  await soon();
  expect(begun).toEqual([0, 1]);
});
