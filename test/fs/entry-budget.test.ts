import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Entries } from '../../src/driver/core/entries.ts';
import { EntryBudget } from '../../src/driver/core/entry-budget.ts';

const MAX = 1000;

/** A filesystem, and a kernel that forgets what is not in use. */
class Mount {
  readonly entries: Entries;
  inUse = 0;
  asked = 0;

  constructor(budget: EntryBudget) {
    this.entries = new Entries(budget, async (max) => {
      await turn();
      const looked = Math.min(max, this.entries.size('all'));
      this.asked += looked;
      for (let i = 0; i < looked && this.entries.size('all') > this.inUse; i++) this.entries.give();
      return looked;
    });
  }

  /** As a program looks at files; resolves to how many it was told of. */
  async look(files: number): Promise<number> {
    for (let i = 0; i < files; i++) {
      if (!this.entries.hasRoom) return i;
      this.entries.take();
      await turn();
    }
    return files;
  }

  open(files: number): void {
    this.inUse += files;
    for (let i = 0; i < files; i++) this.entries.take();
  }
}

test('who looks at everything makes the kernel forget its own inodes, not those of others', async () => {
  const budget = new EntryBudget(MAX);
  const [large, small] = [new Mount(budget), new Mount(budget)];
  await small.look(100);
  expect(await large.look(20 * MAX)).toBe(20 * MAX);
  expect(budget.used).toBeLessThan(MAX / 2 + 10);
  expect([small.entries.size('all'), small.asked]).toEqual([100, 0]);
});

test('while programs hold on to too much, others get new entries, and it does not', async () => {
  const budget = new EntryBudget(MAX);
  const [large, small] = [new Mount(budget), new Mount(budget)];
  large.open(800);
  await turn();
  expect(await large.look(10)).toBe(0);
  expect(await small.look(1000)).toBe(200);
  expect(budget.used).toBe(MAX);
});

test('what is in use is asked about again only when more came', async () => {
  const budget = new EntryBudget(MAX);
  const mount = new Mount(budget);
  mount.open(600);
  for (let i = 0; i < 100; i++) await turn();
  const { asked } = mount;
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThanOrEqual(2 * 600 + MAX);
  for (let i = 0; i < 100; i++) await turn();
  expect(mount.asked).toBe(asked);
});

test('a filesystem that ends gives back all it had', () => {
  const budget = new EntryBudget(MAX);
  const [one, other] = [new Mount(budget), new Mount(budget)];
  one.open(300);
  other.open(100);
  one.entries.end();
  expect(budget.used).toBe(100);
});

test('of files of the envs’ own fewer are kept', async () => {
  const budget = new EntryBudget(MAX, MAX / 10);
  let own = 0;
  const entries = new Entries(budget, async (max) => {
    await turn();
    const looked = Math.min(max, entries.size('own'));
    for (let i = 0; i < looked; i++) entries.give(true);
    return looked;
  });
  for (let i = 0; i < MAX; i++) {
    entries.take(true);
    await turn();
    own = Math.max(own, entries.size('own'));
  }
  expect(own).toBeLessThan(MAX / 20 + 10);
  expect(budget.used).toBeLessThan(MAX / 20 + 10);
});
