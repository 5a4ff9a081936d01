/** Several envs that are started with one command, on a machine of their own that had none before. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import type { EnvStarted } from '../../src/services/start-env.ts';
import { Machines } from './machines.ts';
import { RunRoot } from './run-root.ts';

const NAMES = ['e1', 'e2', 'e3', 'e4', 'e5', 'e6', 'e7', 'e8'];

let r: RunRoot;
let machines: Machines;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  await RunRoot.prepare();
  r = await RunRoot.create();
  env = { ...r.root.env, BYREF_NETWORK: 'bridge' };
  machines = await Machines.create();
  for (const name of NAMES) await r.root.create(name, 'tiny');
});

afterAll(async () => {
  await machines.byref(['stop', '--all', '--fast'], env);
  await r.dispose();
  machines.end();
});

test('each has its address, ids and ports, and what they share is made once', async () => {
  for (const [i, name] of NAMES.entries()) await r.root.ok('set', name, `ports=${8081 + i}:80`);
  const { code, stdout, stderr } = await machines.byref(['start', '--all', '--json'], env);
  expect([code, stderr]).toEqual([0, '']);
  const started = JSON.parse(stdout) as EnvStarted[];
  expect(started.map(({ name }) => name)).toEqual(NAMES);
  const { stdout: list } = await machines.byref(['list', '--json'], env);
  const envs = JSON.parse(list) as EnvSummary[];
  expect(new Set(envs.map(({ state }) => state))).toEqual(new Set(['running']));
  expect(new Set(envs.map(({ address }) => address)).size).toBe(NAMES.length);
  const maps = await Promise.all(NAMES.map((name) => r.exec(name, 'cat /proc/self/uid_map')));
  expect(new Set(maps).size).toBe(NAMES.length);
  const twice = 'iptables-save | grep "^-A" | sort | uniq -d';
  expect(await machines.on(0, twice)).toBe('');
});

test('one that can’t start is told, and the others run', async () => {
  await machines.byref(['stop', '--all', '--fast'], env);
  await r.root.ok('set', 'e2', 'init=/no/such/program');
  const { code, stdout, stderr } = await machines.byref(['start', '--all'], env);
  expect([code, stderr]).toEqual([3, expect.stringContaining('/no/such/program')]);
  const others = NAMES.filter((name) => name !== 'e2');
  expect(stdout.match(/^e\d(?=: started)/gm)?.sort()).toEqual(others);
});
