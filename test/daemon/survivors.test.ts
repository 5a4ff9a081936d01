/** Who keeps mounts when drivers and the holder are killed at once: the daemon; and what becomes of them if that is killed, too. */
import * as fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import type { Diagnosis } from '../../src/manager/upkeep/doctor/doctor.ts';
import { RunRoot } from '../run/run-root.ts';
import { TestDaemon } from './daemon-root.ts';

let r: RunRoot;
let daemon: TestDaemon;

beforeAll(() => RunRoot.prepare());
beforeEach(async () => {
  r = await RunRoot.create();
  r.root.env['BYREF_RESUME'] = '1';
  daemon = new TestDaemon(r.root);
  await r.root.create('web', 'tiny');
});
afterEach(async () => {
  await daemon.kill('SIGTERM');
  await r.dispose();
});

/** Drivers and holder, at once. */
function killAll(): void {
  for (const line of r.root.processes()) process.kill(Number.parseInt(line, 10), 'SIGKILL');
}

const stateOf = async (): Promise<string> => (await r.root.json<EnvSummary[]>('list'))[0]!.state;

test('driver and holder are killed at once, twice: programs see a pause', async () => {
  await daemon.start();
  const at = await r.root.mount('web');
  const file = fs.openSync(path.join(at, 'log'), 'a+');
  try {
    for (const time of ['first ', 'second ']) {
      await daemon.holdsCopies(1);
      fs.writeSync(file, time);
      killAll();
      fs.writeSync(file, 'after ');
      expect(fs.readdirSync(at)).toContain('log');
    }
    expect(fs.readFileSync(path.join(at, 'log'), 'utf8')).toBe('first after second after ');
  } finally {
    fs.closeSync(file);
  }
  const told = /driver and holder were killed: another driver goes on/g;
  await daemon.until(() => daemon.logged.match(told)?.length === 2);
  await r.root.umount('web');
  await daemon.holdsCopies(0);
});

test('the holder is killed alone: another one has all descriptors, and the driver has not changed', async () => {
  await daemon.start();
  await r.root.mount('web');
  const { driverPid, holderPid } = await r.root.info('web');
  await daemon.holdsCopies(1);
  process.kill(holderPid!, 'SIGKILL');
  await daemon.until(async () => ((await r.root.info('web')).holderPid ?? holderPid) !== holderPid);
  expect((await r.root.info('web')).driverPid).toBe(driverPid);
});

test('all are killed: that is told, and a mount brings back what was answered', async () => {
  const at = await r.root.mount('web');
  fs.writeFileSync(path.join(at, 'answered'), 'answered\n');
  killAll();
  await expect.poll(() => r.root.processes()).toEqual([]);
  expect(() => fs.readdirSync(at)).toThrow(/ENOTCONN|ECONNABORTED/);
  const listed = await r.root.byref('list');
  expect(listed.stderr).toContain('web is mounted, but its driver is gone. See: byref info web');
  expect(await r.root.info('web')).toMatchObject({
    state: 'dead',
    dead: expect.stringContaining('what uses it gets errors, until byref mount web'),
  });
  const { checks } = await r.root.json<Diagnosis>('doctor');
  expect(checks.find(({ name }) => name === 'mounts.served')).toMatchObject({
    status: 'missing',
    found: '0 of 1 mounts served',
  });
  expect(await r.root.mount('web')).toBe(at);
  expect(fs.readFileSync(path.join(at, 'answered'), 'utf8')).toBe('answered\n');
  const again = await r.root.json<Diagnosis>('doctor');
  expect(again.checks.filter(({ name }) => name.startsWith('mounts.'))).toMatchObject([
    { name: 'mounts.served', status: 'ok' },
    { name: 'mounts.holder', status: 'ok' },
  ]);
});

test('all are killed, the daemon too: the next one says so, and starts what is to run', async () => {
  await r.root.ok('set', 'web', 'boot.autostart=true');
  await r.root.create('other', 'tiny');
  await daemon.start();
  await r.root.ok('start', 'web', 'other');
  await daemon.holdsCopies(2);
  await daemon.kill();
  killAll();
  await expect.poll(() => r.root.processes()).toEqual([]);
  expect(await stateOf()).toBe('dead');
  await daemon.start();
  await daemon.until(async () => (await stateOf()) === 'running');
  expect(daemon.logged.match(/its driver and the holder were killed/g)).toHaveLength(2);
  const states = (await r.root.json<EnvSummary[]>('list')).map(({ state }) => state);
  expect(states).toEqual(['running', 'dead']);
  await r.root.ok('stop', '--fast', 'other');
  await r.root.ok('start', 'other');
});
