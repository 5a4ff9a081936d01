/** Envs that are frozen: what they do, and what all else does with them. */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import type { SnapshotTaken } from '../../src/services/take-snapshot.ts';
import { TestDaemon } from '../daemon/daemon-root.ts';
import { runKilledAt } from '../support/damage/failpoints.ts';
import { output } from '../support/machine/program.ts';
import { RunRoot } from './run-root.ts';

const POLL = { timeout: 20_000, interval: 50 };
/** Many times what the program takes for one count. */
const SOME_COUNTS_MS = 500;
const COUNTING =
  'init=sh -c "trap \'echo ended >/root/end; exit 0\' TERM; i=0; while :; do i=$((i+1)); echo $i >/root/new; mv /root/new /root/count; sleep 0.02; done"';

let r: RunRoot;

beforeAll(() => RunRoot.prepare());
beforeEach(async () => {
  r = await RunRoot.create();
  // What is on it has to come to rest for a copy, too.
  await r.root.ok('create', 'web', '--os', 'tiny', '--volume', '/srv/sized:16MiB');
  await r.root.ok('set', 'web', COUNTING);
  await r.root.ok('start', 'web');
  await expect.poll(count, POLL).toBeGreaterThan(0);
});
afterEach(() => r.dispose());

const inMount = (file: string): string => path.join(r.root.path, 'mnt/web', file);

/** How far the program has come, as the machine sees it. */
async function count(): Promise<number> {
  return Number(await output('cat', [inMount('root/count')]).catch(() => '0'));
}

const stateOf = async (name = 'web'): Promise<string | undefined> =>
  (await r.root.json<EnvSummary[]>('list')).find((env) => env.name === name)?.state;

async function expectStill(): Promise<void> {
  const before = await count();
  await sleep(SOME_COUNTS_MS);
  expect(await count()).toBe(before);
  expect(await stateOf()).toBe('frozen');
}

async function expectGoing(): Promise<void> {
  const before = await count();
  await expect.poll(count, POLL).toBeGreaterThan(before);
  expect(await stateOf()).toBe('running');
}

test('a frozen env stands still, whatever else is done with it, until it is thawed', async () => {
  expect(await r.root.ok('freeze', 'web')).toBe('web: frozen\n');
  expect(await r.root.ok('freeze', 'web')).toBe('web: frozen already\n');
  await expectStill();
  expect(await r.root.ok('info', 'web')).toMatch(/^state:\s+frozen$/m);
  for (const words of [
    ['exec', 'web', 'true'],
    ['start', 'web'],
    ['start', 'web', '--ready'],
  ])
    expect(await r.root.byref(...words)).toMatchObject({
      code: EXIT.busy,
      stderr: expect.stringContaining('byref thaw web') as string,
    });
  await r.root.ok('ps', 'web');
  await r.root.ok('top', '--once', 'web');
  await r.root.ok('logs', 'web');
  await r.root.ok('set', 'web', 'limits.memory=256MiB');
  await r.root.ok('kill', 'web', '-s', 'HUP');
  expect(await r.root.byref('umount', 'web')).toMatchObject({ code: EXIT.busy });
  await r.root.ok('clone', 'web', 'copy');
  await r.root.ok('backup', 'web', path.join(r.root.base, 'web.backup'));
  const { frozenMs } = await r.root.json<SnapshotTaken>('snapshot', 'web', 'one');
  expect(frozenMs).toBeGreaterThan(0);
  await r.stage('2.0');
  await r.root.ok('patch', 'tiny');
  expect(await output('cat', [inMount('etc/release-of-test')])).toBe('2.0\n');
  await r.root.ok('rollback', 'tiny');
  await expectStill();
  expect(await r.root.ok('thaw', 'web')).toBe('web: thawed\n');
});

test('it goes on, ends in order, is killed, and is destroyed', async () => {
  await r.root.ok('freeze', 'web');
  await r.root.ok('thaw', 'web');
  await expectGoing();
  expect(await r.root.ok('thaw', 'web')).toBe('web: not frozen\n');
  await r.root.ok('freeze', 'web');
  expect(await r.root.ok('stop', 'web')).toBe('web: stopped\n');
  await r.root.ok('mount', 'web');
  expect(await output('cat', [inMount('root/end')])).toBe('ended\n');
  for (const verb of ['freeze', 'thaw'])
    expect(await r.root.byref(verb, 'web')).toMatchObject({ code: EXIT.usage });
  const again = async (...words: string[]): Promise<void> => {
    await r.root.ok('start', 'web');
    await r.root.ok('freeze', 'web');
    await r.root.ok(...words);
  };
  await again('kill', 'web');
  await expect.poll(() => stateOf(), POLL).toBe('mounted');
  await again('stop', 'web', '--fast');
  await again('restart', 'web');
  await expectGoing();
  await r.root.ok('freeze', 'web');
  await r.root.ok('destroy', 'web', '--force');
  expect(r.leftovers()).toEqual([]);
});

test('a command that is killed leaves an env that goes on, or is frozen', async () => {
  for (const [verb, point] of [
    ['freeze', 'freeze-noted'],
    ['thaw', 'thaw-noted'],
  ] as const) {
    if (verb === 'thaw') await r.root.ok('freeze', 'web');
    expect((await runKilledAt(r.root, `${point}:1`, [verb, 'web'])).code).toBe(-1);
    // A copy undoes what a killed command has left, and no more.
    await r.root.ok('clone', 'web', `after-${verb}`);
    await expectGoing();
  }
  await r.root.ok('freeze', 'web');
  expect((await runKilledAt(r.root, 'clone-held:1', ['clone', 'web', 'other'])).code).toBe(-1);
  await expectStill();
  await r.root.ok('thaw', 'web');
  await expectGoing();
});

test('a daemon freezes and thaws, and one that is replaced leaves it as it is', async () => {
  const daemon = new TestDaemon(r.root);
  await daemon.start();
  try {
    expect(JSON.parse((await daemon.ask('POST', '/v1/envs/web/freeze')).text)).toMatchObject([
      { name: 'web', state: 'frozen' },
    ]);
    await daemon.kill('SIGTERM');
    await daemon.start();
    await expectStill();
    const { text } = await daemon.ask('GET', '/v1/envs/web');
    expect(JSON.parse(text)).toMatchObject({ state: 'frozen' });
    await daemon.ask('POST', '/v1/envs/web/thaw');
    await expectGoing();
  } finally {
    await daemon.kill('SIGTERM');
  }
});
