/** Limits of the rate of an env's traffic, measured between two machines. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { burstOf } from '../../src/manager/envs/network/shape.ts';
import type { EnvInfo } from '../../src/services/env-info.ts';
import { output } from '../support/machine/program.ts';
import { Machines } from './machines.ts';
import { RunRoot } from './run-root.ts';

const MIB = 2 ** 20;
const RATE = 4 * MIB;
const BYTES = 4 * MIB;
/** The share of what is measured by which it may differ from the limit. */
const TOLERANCE = 0.1;

let r: RunRoot;
let machines: Machines;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  await RunRoot.prepare();
  r = await RunRoot.create();
  env = { ...r.root.env, BYREF_NETWORK: 'bridge' };
  machines = await Machines.create();
  for (const name of ['slow', 'free']) await r.root.create(name, 'tiny');
  await ok('set', 'slow', 'limits.network.ingress=4MiB', 'limits.network.egress=4MiB');
  await ok('start', 'slow', 'free');
});
afterAll(async () => {
  await ok('stop', '--all', '--fast');
  const left = await machines.on(0, 'ip -o link | grep -v " \\(lo\\|out\\|byref0\\)[@:]" || :');
  await r.dispose();
  machines.end();
  expect(left).toBe('');
});

const ok = (...args: string[]): Promise<string> => machines.ok(args, env);

/** Sends so many bytes to each who connects, and says how many came of those who send. */
const SERVER = `
  const net = require('net'), size = Number(process.argv[1]);
  net.createServer((s) => { s.on('error', () => 0); s.end(Buffer.alloc(size)); }).listen(7001, '0.0.0.0');
  net.createServer({ allowHalfOpen: true }, (s) => { let n = 0; s.on('data', (b) => { n += b.length; }); s.on('error', () => 0); s.on('end', () => s.end(String(n))); })
    .listen(7002, '0.0.0.0', () => console.log('ready'));`;

/** Gets from a port, or sends so many bytes to it; prints how many there were, and how long it took. */
const CLIENT = `
  const net = require('net'), [port, size] = process.argv.slice(1).map(Number), began = process.hrtime.bigint();
  let n = 0, said = '';
  const s = net.connect({ port, host: '10.9.0.2', allowHalfOpen: true });
  s.on('data', (b) => { n += b.length; if (b.length < 20) said += b; });
  s.on('end', () => { console.log(JSON.stringify({ bytes: size > 0 ? Number(said) : n, ms: Number(process.hrtime.bigint() - began) / 1e6 })); process.exit(); });
  if (size > 0) s.end(Buffer.alloc(size)); else s.end();`;

async function serve(): Promise<ChildProcess> {
  const words = ['--net', '--target', String(machines.holders[1]!.pid), process.execPath, '-e'];
  const server = spawn('nsenter', [...words, SERVER, String(BYTES)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(server.stdout, 'data');
  return server;
}

/** What a client in the network of an env moves. */
async function move(
  name: string,
  port: number,
  size: number,
): Promise<{ bytes: number; ms: number }> {
  const { pid } = JSON.parse(await ok('info', name, '--json')) as EnvInfo;
  const words = ['--net', '--target', String(pid), process.execPath, '-e', CLIENT];
  const said = await output('nsenter', [...words, String(port), String(size)]);
  return JSON.parse(said) as { bytes: number; ms: number };
}

interface Qdisc {
  readonly kind: string;
  readonly dev: string;
  readonly options: { readonly rate?: number };
  readonly bytes: number;
  readonly overlimits: number;
}

/** The limiters of the machine: of what comes to envs, and of what they send. */
async function limiters(): Promise<{ ingress: Qdisc[]; egress: Qdisc[] }> {
  const all = (JSON.parse(await machines.on(0, 'tc -s -j qdisc show')) as Qdisc[]).filter(
    ({ kind }) => kind === 'tbf',
  );
  return {
    ingress: all.filter(({ dev }) => dev.startsWith('veth')),
    egress: all.filter(({ dev }) => dev.startsWith('byr-')),
  };
}

/** No more than the limit lets through has passed, and all of it through the limiter, which made it wait. */
function check({ bytes, ms }: { bytes: number; ms: number }, before: Qdisc, after: Qdisc): void {
  expect(bytes).toBe(BYTES);
  const allowed = RATE * (ms / 1000) + burstOf(RATE);
  expect(bytes).toBeLessThan(allowed * (1 + TOLERANCE));
  expect(after.options.rate).toBe(RATE);
  expect(after.overlimits).toBeGreaterThan(before.overlimits);
  // Frames have headers, and some are sent twice.
  const passed = after.bytes - before.bytes;
  expect(passed).toBeGreaterThan(BYTES);
  expect(passed).toBeLessThan(BYTES * (1 + 2 * TOLERANCE));
}

test('what comes to it, and what it sends, is held to the limit', async () => {
  const server = await serve();
  try {
    const first = await limiters();
    const came = await move('slow', 7001, 0);
    const second = await limiters();
    check(came, first.ingress[0]!, second.ingress[0]!);
    const sent = await move('slow', 7002, BYTES);
    const third = await limiters();
    check(sent, second.egress[0]!, third.egress[0]!);
    // One without a limit passes through none.
    await move('free', 7001, 0);
    await move('free', 7002, BYTES);
    const last = await limiters();
    expect([last.ingress.length, last.egress.length]).toEqual([1, 1]);
    expect(last.ingress[0]!.bytes - third.ingress[0]!.bytes).toBeLessThan(BYTES / 10);
  } finally {
    server.kill();
  }
});

test('a limit changes while it runs, and is there again after a restart', async () => {
  const rates = async (): Promise<unknown> => {
    const { ingress, egress } = await limiters();
    return [ingress.map(({ options }) => options.rate), egress.map(({ options }) => options.rate)];
  };
  expect(await rates()).toEqual([[RATE], [RATE]]);
  expect(await ok('set', 'slow', 'limits.network.egress=1MiB')).not.toContain('next start');
  expect(await rates()).toEqual([[RATE], [MIB]]);
  await ok('set', 'slow', 'limits.network.ingress=');
  expect(await rates()).toEqual([[], [MIB]]);
  await ok('restart', 'slow');
  expect(await rates()).toEqual([[], [MIB]]);
  await ok('set', 'slow', 'limits.network.egress=');
  expect(await rates()).toEqual([[], []]);
  // One that was started without.
  await ok('set', 'free', 'limits.network.egress=2MiB');
  expect(await rates()).toEqual([[], [2 * MIB]]);
  await ok('stop', 'free');
  expect(await rates()).toEqual([[], []]);
  // A start that is killed when the limit is there leaves it to the next command.
  const killed = { ...env, BYREF_FAILPOINT: 'rate-set' };
  expect((await machines.byref(['start', 'free'], killed)).code).not.toBe(0);
  await ok('stop', 'free');
  expect(await machines.on(0, 'ip -o link | grep -c byr- || :')).toBe('0\n');
  await ok('set', 'free', 'limits.network.egress=');
  await ok('set', 'slow', 'limits.network.ingress=4MiB', 'limits.network.egress=4MiB');
});

test('the rate of a limit that is as low as can be is enough for a connection', async () => {
  await ok('set', 'slow', 'limits.network.ingress=1KiB', 'limits.network.egress=1KiB');
  const server = spawn('nsenter', [
    ...['--net', '--target', String(machines.holders[1]!.pid), process.execPath, '-e'],
    `require('net').createServer((s) => s.end('hello\\n')).listen(7003, '0.0.0.0', () => console.log('ready'))`,
  ]);
  await once(server.stdout, 'data');
  const talk = 'exec 3<>/dev/tcp/10.9.0.2/7003; cat <&3';
  expect(await ok('exec', 'slow', '--', 'bash', '-c', talk)).toBe('hello\n');
  server.kill();
});

test.each([
  [4 * MIB, 104_858],
  [1024, 3028],
])('of %i bytes a second, %i may pass at once', (rate, burst) => {
  expect(burstOf(rate)).toBe(burst);
});
