import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestRoot } from '../support/machine/root.ts';
import type { Program } from './programs.ts';
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
    const how = { envs, seconds: SECONDS, pauseMs: 400, seed, programs: programs() };
    const survived = await torture(root, how);
    console.log(`seed ${seed}: ${JSON.stringify(survived)}`);
    expect(survived.errors).toEqual([]);
    expect(Math.min(survived.kills, survived.daemonKills, survived.killsOfAll)).toBeGreaterThan(0);
    for (const program of how.programs) expect(survived.steps[program], program).toBeGreaterThan(0);
    await root.umount();
    expect(await root.findings()).toEqual([]);
  },
  SECONDS * 1000 + 170_000,
);

/** The database takes half a minute to begin with, and a machine need not have it. */
function programs(): readonly Program[] {
  const isThere = spawnSync('initdb', ['--version']).status === 0;
  if (MINUTES > 0 && !isThere) console.log('no PostgreSQL here: left out');
  return ['git', 'sqlite', 'unpack', ...(MINUTES > 0 && isThere ? ['postgresql' as const] : [])];
}
