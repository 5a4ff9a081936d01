/** A daemon that is killed during every verb: what was begun is done or not done, nothing leaks, and envs run on. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import type { Operation } from '../../src/services/operation.ts';
import { RunRoot } from '../run/run-root.ts';
import { TestDaemon } from './daemon-root.ts';

/** When the daemon is killed after it was asked, in milliseconds; a soak tries more moments. */
const MOMENTS_MS =
  process.env['BYREF_SOAK'] === '1' ? [0, 5, 10, 20, 40, 60, 80, 120, 160, 240, 320] : [40];

interface Step {
  readonly ask: readonly [method: string, url: string, body?: object];
  /** The same as a command: whatever came of the request, it is done afterwards. It may have been done. */
  readonly same: readonly string[];
}

/** A life of an env, in which each verb finds what it needs. */
const LIFE: readonly Step[] = [
  {
    ask: ['POST', '/v1/envs', { envs: ['web'], os: 'tiny' }],
    same: ['create', 'web', '--os', 'tiny'],
  },
  { ask: ['POST', '/v1/envs/web/start', {}], same: ['start', 'web'] },
  {
    ask: ['PATCH', '/v1/envs/web', { keyValues: ['limits.processes=77'] }],
    same: ['set', 'web', 'limits.processes=77'],
  },
  { ask: ['POST', '/v1/templates/tiny/patch', {}], same: ['patch', 'tiny', '--to', '2'] },
  { ask: ['POST', '/v1/envs/web/restart', { fast: true }], same: ['restart', 'web', '--fast'] },
  { ask: ['POST', '/v1/templates/tiny/rollback', {}], same: ['rollback', 'tiny', '--to', '1'] },
  { ask: ['POST', '/v1/envs/web/stop', { fast: true }], same: ['stop', 'web', '--fast'] },
  { ask: ['POST', '/v1/envs/web/mount', {}], same: ['mount', 'web'] },
  { ask: ['POST', '/v1/envs/web/umount', {}], same: ['umount', 'web'] },
  { ask: ['POST', '/v1/envs/web/clone', { name: 'like' }], same: ['clone', 'web', 'like'] },
  { ask: ['POST', '/v1/envs/web/rename', { name: 'site' }], same: ['rename', 'web', 'site'] },
  { ask: ['DELETE', '/v1/envs/like'], same: ['destroy', 'like'] },
  { ask: ['DELETE', '/v1/envs/site'], same: ['destroy', 'site'] },
  { ask: ['POST', '/v1/gc', {}], same: ['gc'] },
];

let r: RunRoot;
let daemon: TestDaemon;

beforeAll(() => RunRoot.prepare());
beforeEach(async () => {
  r = await RunRoot.create();
  daemon = new TestDaemon(r.root);
});
afterEach(async () => {
  await daemon.kill('SIGTERM');
  await r.dispose();
});

/** Waits until nothing that an earlier daemon began is under way. */
const quiet = (): Promise<void> =>
  daemon.until(async () => {
    const operations = await daemon.json<Operation[]>('GET', '/v1/operations');
    return operations.every(({ state }) => state !== 'running');
  });

test.each(MOMENTS_MS)('killed %i ms into each verb', async (moment) => {
  await r.stage('2.0');
  await r.root.create('beside', 'tiny');
  await r.root.ok('start', 'beside');
  const [before] = await r.root.json<EnvSummary[]>('list');
  await daemon.start();
  for (const { ask, same } of LIFE) {
    const asked = daemon.ask(...ask).catch(() => null);
    await sleep(moment);
    await daemon.kill();
    await asked;
    await daemon.start();
    await quiet();
    await r.root.byref(...same);
    expect((await r.root.json<EnvSummary[]>('list'))[0], same.join(' ')).toEqual(before);
  }
  expect(await r.root.json<EnvSummary[]>('list')).toHaveLength(1);
  expect(r.bundles()).toHaveLength(1);
  expect(await r.root.findings()).toEqual([]);
});
