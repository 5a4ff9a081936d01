/** Envs whose neighbour takes all that it can get: each guarantee holds. Limits of memory and processes are in limits.test.ts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { groupUsage } from '../../src/manager/envs/runtime/group-usage.ts';
import type { EnvInfo } from '../../src/services/env-info.ts';
import { BYREF } from '../support/machine/program.ts';
import { Machines } from './machines.ts';
import { RunRoot } from './run-root.ts';

/** What both have used when neither is just beginning. */
const BEGUN_MS = 200;
const POLL_MS = 50;

let r: RunRoot;
let machines: Machines;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  await RunRoot.prepare();
  r = await RunRoot.create();
  env = { ...r.root.env, BYREF_NETWORK: 'bridge' };
  machines = await Machines.create();
  for (const name of ['hog', 'neighbour']) {
    await r.root.create(name, 'tiny');
    await ok('start', name);
  }
});
afterAll(async () => {
  await ok('stop', '--all', '--fast');
  await r.dispose();
  machines.end();
});

const ok = (...args: string[]): Promise<string> => machines.ok(args, env);

/** Runs a script in an env until the returned function is called. */
function busy(name: string, script: string): () => Promise<void> {
  const child: ChildProcess = spawn(BYREF, ['exec', name, '--', 'bash', '-c', script], {
    env,
    stdio: 'ignore',
  });
  const exited = once(child, 'exit');
  return async () => {
    await r.exec(name, 'touch /enough');
    await exited;
    await r.exec(name, 'rm /enough');
  };
}

interface Link {
  readonly stats64: { readonly tx: { readonly bytes: number } };
}

/** As many processes as use all processors of this machine. */
const BURN = 'for i in 1 2 3 4; do while [ ! -e /enough ]; do :; done & done; wait';

/** The control group of an env, for processor time. */
async function groupOf(name: string): Promise<string> {
  const { pid } = await r.root.json<EnvInfo>('info', name);
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n');
  const line = lines.find((each) => /[:,]cpuacct[,:]/.test(each)) ?? lines.at(-1) ?? '';
  return line.slice(line.lastIndexOf(':') + 1);
}

/** Waits until envs have used so much processor time together; returns the share of the first. */
async function shareOfFirst(groups: readonly string[], totalMs: number): Promise<number> {
  // All at one moment.
  const read = (): number[] => groups.map((group) => groupUsage(group).cpuMs ?? 0);
  const since = (before: readonly number[]): number[] => read().map((ms, i) => ms - before[i]!);
  const idle = read();
  while (since(idle).some((ms) => ms < BEGUN_MS)) await sleep(POLL_MS);
  const before = read();
  for (;;) {
    await sleep(POLL_MS);
    const used = since(before);
    const total = used.reduce((sum, ms) => sum + ms, 0);
    if (total >= totalMs) return used[0]! / total;
  }
}

test('processor: when all is wanted, each gets its share', async () => {
  // On one processor, so that it makes no difference what else runs on the machine.
  await ok('set', 'neighbour', 'limits.cpu.share=300', 'limits.cpu.set=0');
  await ok('set', 'hog', 'limits.cpu.set=0');
  const groups = [await groupOf('neighbour'), await groupOf('hog')];
  const ends = [busy('hog', BURN), busy('neighbour', BURN)];
  try {
    const share = await shareOfFirst(groups, 2000);
    expect(share).toBeGreaterThan(0.75 * 0.9);
    expect(share).toBeLessThan(0.75 * 1.1);
  } finally {
    for (const end of ends) await end();
  }
  await ok('set', 'neighbour', 'limits.cpu.share=', 'limits.cpu.set=');
  await ok('set', 'hog', 'limits.cpu.set=');
});

test.each([
  ['4MiB', 'all that its limit lets through'],
  ['', 'without a limit'],
])('network (%s): while the hog sends %s, its neighbour is answered each time', async (limit) => {
  await ok('set', 'hog', `limits.network.egress=${limit}`);
  const server = spawn('nsenter', [
    ...['--net', '--target', String(machines.holders[1]!.pid), process.execPath, '-e'],
    `const net = require('net');
     net.createServer((s) => { s.resume(); s.on('error', () => 0); }).listen(7001, '0.0.0.0');
     net.createServer((s) => s.end('here\\n')).listen(7002, '0.0.0.0', () => console.log('ready'))`,
  ]);
  await once(server.stdout, 'data');
  const sent = async (): Promise<number> => {
    const [link] = JSON.parse(await machines.on(0, 'ip -s -j link show out')) as Link[];
    return link?.stats64.tx.bytes ?? 0;
  };
  const end = busy(
    'hog',
    'for i in 1 2 3 4; do while [ ! -e /enough ]; do head -c 1000000 /dev/zero >/dev/tcp/10.9.0.2/7001; done & done; wait',
  );
  try {
    const before = await sent();
    await expect
      .poll(async () => (await sent()) - before > 2 ** 20, { timeout: 30_000 })
      .toBe(true);
    const during = await sent();
    const script =
      'for i in {1..50}; do exec 3<>/dev/tcp/10.9.0.2/7002; cat <&3; exec 3<&-; done | grep -c here';
    expect(await r.exec('neighbour', script)).toBe('50\n');
    // The hog went on meanwhile.
    expect(await sent()).toBeGreaterThan(during);
  } finally {
    await end();
    server.kill();
  }
});

test('memory: a guarantee is the kernel’s', async () => {
  await ok('set', 'neighbour', 'limits.memory.guarantee=32MiB');
  const files = ['memory/memory.soft_limit_in_bytes', 'memory.low'].map(
    (file) => `/sys/fs/cgroup/${file}`,
  );
  expect(await r.exec('neighbour', `cat ${files.join(' ')} 2>/dev/null || :`)).toBe(
    `${32 * 2 ** 20}\n`,
  );
});
