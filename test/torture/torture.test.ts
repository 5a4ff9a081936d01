import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestRoot } from '../support/machine/root.ts';
import { torture } from './torture.ts';

/** `npm run torture -- --minutes N` sets it. */
const MINUTES = Number(process.env['BYREF_TORTURE_MINUTES'] ?? 0);
const SECONDS = MINUTES > 0 ? MINUTES * 60 : 10;

let root: TestRoot;

beforeEach(async () => {
  root = await TestRoot.create({ BYREF_RESUME: '1' });
});
afterEach(() => root.dispose());

test(
  'programs in envs see nothing of drivers that are killed and upgraded, and of patches',
  async () => {
    const envs = MINUTES > 0 ? 6 : 2;
    const seed = MINUTES > 0 ? Date.now() % 1e6 : 1;
    const survived = await torture(root, { envs, seconds: SECONDS, pauseMs: 400, seed });
    console.log(`seed ${seed}: ${JSON.stringify(survived)}`);
    expect(survived.errors).toEqual([]);
    expect(survived.kills).toBeGreaterThan(0);
    await root.umount();
    expect(await root.findings()).toEqual([]);
  },
  SECONDS * 1000 + 170_000,
);
