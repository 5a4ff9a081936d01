/** A driver that hangs, with a program that waits in its env: the daemon answers, and so do the commands for other envs. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import { RunRoot } from '../run/run-root.ts';
import { edit } from '../support/damage/edit-store.ts';
import { TestDaemon } from './daemon-root.ts';

let r: RunRoot;
let daemon: TestDaemon;
let hung: number | null = null;

beforeAll(() => RunRoot.prepare());
beforeEach(async () => {
  // Nobody ends the driver within the test.
  r = await RunRoot.create({ BYREF_HANG_MS: '3600000' });
  daemon = new TestDaemon(r.root);
});
afterEach(async () => {
  if (hung !== null) process.kill(hung, 'SIGCONT');
  hung = null;
  await daemon.kill('SIGTERM');
  await r.dispose();
});

/** A process waits for an answer of a driver, in the kernel. */
const waits = (pid: number): boolean =>
  readdirSync(`/proc/${pid}/task`).some((task) =>
    readFileSync(`/proc/${pid}/task/${task}/wchan`, 'utf8').includes('request_wait_answer'),
  );

test('a driver hangs: the daemon and other envs go on', async () => {
  await daemon.start();
  // Two shards: the first env is in one of them, the second in the other.
  await edit(r.root.path, (tables) => tables.setNumber('shards', 2));
  await r.root.create('hangs', 'tiny');
  await r.root.create('runs', 'tiny');
  const at = await r.root.mount('hangs');
  hung = (await r.root.info('hangs')).driverPid!;
  process.kill(hung, 'SIGSTOP');
  const reader = r.root.background('exec cat "$1"', path.join(at, 'etc/passwd'));
  await expect.poll(() => waits(reader.pid!), { timeout: 30_000 }).toBe(true);

  expect((await daemon.ask('GET', '/healthz')).status).toBe(200);
  expect((await daemon.ask('GET', '/metrics')).status).toBe(200);
  const started = await daemon.done('POST', '/v1/operations', { words: ['start', 'runs'] });
  expect(started).toMatchObject({ state: 'done', exitCode: 0 });
  const envs = await daemon.json<EnvSummary[]>('GET', '/v1/envs');
  expect(envs.map(({ name, state }) => [name, state])).toEqual([
    ['hangs', 'mounted'],
    ['runs', 'running'],
  ]);
  expect(await r.exec('runs', 'echo here')).toBe('here\n');
  await daemon.eventsUntil(({ what }) => what === 'env.started');
  expect(
    await daemon.done('POST', '/v1/operations', { words: ['destroy', '--force', 'runs'] }),
  ).toMatchObject({
    state: 'done',
    exitCode: 0,
  });
  expect((await daemon.ask('GET', '/healthz')).status).toBe(200);

  process.kill(hung, 'SIGCONT');
  await expect.poll(() => reader.exitCode, { timeout: 30_000 }).toBe(0);
});
