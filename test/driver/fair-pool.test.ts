import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { FairPool } from '../../src/driver/process/fair-pool.ts';

/** Work that ends when it is told, and what of it was started, in order. */
class Jobs {
  readonly started: string[] = [];
  private readonly ends = new Map<string, () => void>();

  work(name: string): () => Promise<string> {
    return () => {
      this.started.push(name);
      return new Promise((resolve) => this.ends.set(name, () => resolve(name)));
    };
  }

  async end(name: string): Promise<void> {
    this.ends.get(name)!();
    await turn();
  }
}

test('a lane alone leaves threads to others', () => {
  const jobs = new Jobs();
  const pool = new FairPool(4, 2);
  const [noisy, quiet] = [pool.lane(), pool.lane()];
  for (const name of ['n1', 'n2', 'n3', 'n4']) void noisy(jobs.work(name));
  expect(jobs.started).toEqual(['n1', 'n2']);
  void quiet(jobs.work('q1'));
  expect(jobs.started).toEqual(['n1', 'n2', 'q1']);
});

test('a thread that becomes free goes to the lane whose turn it is', async () => {
  const jobs = new Jobs();
  const pool = new FairPool(2, 2);
  const lanes = [pool.lane(), pool.lane(), pool.lane()];
  for (const i of [1, 2, 3, 4]) void lanes[0]!(jobs.work(`a${i}`));
  for (const i of [1, 2]) void lanes[1]!(jobs.work(`b${i}`));
  void lanes[2]!(jobs.work('c1'));
  for (const next of ['a1', 'a2', 'b1', 'c1', 'a3', 'b2']) await jobs.end(next);
  expect(jobs.started).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4']);
});

test('results and failures come through, and a failure gives its thread back', async () => {
  const jobs = new Jobs();
  const lane = new FairPool(1, 1).lane();
  const failed = lane(() => Promise.reject(new Error('no')));
  const good = lane(jobs.work('good'));
  await expect(failed).rejects.toThrow('no');
  await turn();
  await jobs.end('good');
  expect(await good).toBe('good');
});
