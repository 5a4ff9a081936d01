/** More envs than the first bridge has ports for: further bridges are joined to it, and all are one network. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it, test } from 'vitest';
import { gatewayOf } from '../../src/manager/envs/network/bridge.ts';
import { roomOf } from '../../src/manager/envs/network/bridges.ts';
import { devicesOfBridge } from '../../src/manager/envs/network/uplink.ts';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import { Machines } from './machines.ts';
import { RunRoot } from './run-root.ts';

/** Three of the first bridge's are for envs, and three of the second one's. */
const PORTS = 4;
const NAMES = ['e1', 'e2', 'e3', 'e4', 'e5', 'e6'];
const PORT = 7;
const NO_SPACE = 9;
const IFNAME_MAX = 15;

let r: RunRoot;
let machines: Machines;
let env: NodeJS.ProcessEnv;
const servers: (() => void)[] = [];

beforeAll(async () => {
  await RunRoot.prepare();
  r = await RunRoot.create();
  env = { ...r.root.env, BYREF_NETWORK: 'bridge', BYREF_BRIDGE_PORTS: String(PORTS) };
  machines = await Machines.create();
  for (const name of [...NAMES, 'e7']) await r.root.create(name, 'tiny');
});

afterAll(async () => {
  for (const end of servers) end();
  await machines.byref(['stop', '--all', '--fast'], env);
  const left = await leftOnMachine();
  await r.dispose();
  machines.end();
  expect(left).toBe('');
});

const ok = (...args: string[]): Promise<string> => machines.ok(args, env);

const leftOnMachine = (): Promise<string> =>
  machines.on(
    0,
    'ip -o link | grep -v " \\(lo\\|out\\|byref0\\)[@:]" || :; iptables-save | grep -i "env-\\|byref" || :',
  );

async function list(): Promise<EnvSummary[]> {
  return JSON.parse(await ok('list', '--json')) as EnvSummary[];
}

const addressOf = async (name: string): Promise<string> =>
  (await list()).find((each) => each.name === name)?.address ?? '';

/** The devices on a bridge, without those that lead to another bridge; none if it is not there. */
async function cables(bridge: string): Promise<string[]> {
  const shown = await machines.on(0, `ip -o link show master ${bridge} 2>/dev/null || :`);
  return [...shown.matchAll(/^\d+: (veth[^@:]+)/gm)].map(([, name]) => name!);
}

/** Starts a program in an env that says its name to all who connect. */
async function serve(name: string): Promise<() => void> {
  const { pid } = JSON.parse(await ok('info', name, '--json')) as { pid: number };
  const program = `require('net').createServer((s) => s.end('${name}\\n')).listen(${PORT}, '0.0.0.0', () => console.log('ready'))`;
  const words = ['--net', '--target', String(pid), process.execPath, '-e', program];
  const server = spawn('nsenter', words, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(server.stdout, 'data');
  const end = (): void => void server.kill();
  servers.push(end);
  return end;
}

/** What servers say to a client in an env. */
async function ask(from: string, hosts: readonly string[]): Promise<string[]> {
  const script = `for host; do (exec 3<>/dev/tcp/$host/${PORT}; cat <&3); done`;
  return (await ok('exec', from, '--', 'bash', '-c', script, 'ask', ...hosts)).trim().split('\n');
}

test('envs that are started together fill the first bridge, and then a second one', async () => {
  await ok('start', ...NAMES);
  expect(await cables('byref0')).toHaveLength(3);
  expect(await cables('byref0-1')).toHaveLength(3);
  const addresses = (await list()).flatMap(({ address }) => address ?? []);
  expect(new Set(addresses).size).toBe(NAMES.length);
  const gateways = await machines.on(0, 'ip -4 -o address | grep byref');
  expect(gateways).toMatch(/^\d+: byref0 +inet 10\.111\.0\.1\/16 [^\n]*\n$/);
});

test('each reaches all by address and by name, and the machine reaches them', async () => {
  const ends = [];
  for (const name of NAMES) ends.push(await serve(name));
  const addresses = await Promise.all(NAMES.map(addressOf));
  for (const from of NAMES) {
    expect(await ask(from, addresses)).toEqual(NAMES);
    expect(await ask(from, NAMES)).toEqual(NAMES);
  }
  for (const [i, address] of addresses.entries()) {
    const talk = `exec bash -c "exec 3<>/dev/tcp/${address}/${PORT}; cat <&3"`;
    expect(await machines.on(0, talk)).toBe(`${NAMES[i]!}\n`);
  }
  for (const end of ends) end();
});

/** Returns the name of an env on the second bridge. */
function onSecond(): string {
  const run = r.root.env['BYREF_RUN']!;
  const [place] = readdirSync(path.join(run, 'bridges'));
  const [container] = readdirSync(path.join(run, 'bridges', place!, '1'));
  return NAMES[Number(/\d+$/.exec(container!)![0]) - 1]!;
}

test('there, too, a port is published, the world is reached, and the rate is limited', async () => {
  const name = onSecond();
  await ok('set', name, 'ports=8080:7', 'limits.network.ingress=1m', 'limits.network.egress=1m');
  await ok('restart', name);
  expect(await cables('byref0-1')).toHaveLength(3);
  const end = await serve(name);
  const talk = 'exec bash -c "exec 3<>/dev/tcp/10.9.0.1/8080; cat <&3"';
  expect(await machines.on(1, talk)).toBe(`${name}\n`);
  const limited = await machines.on(0, 'tc qdisc show | grep "tbf\\|ingress"');
  const [cable] = (await cables('byref0-1')).filter((each) => limited.includes(` dev ${each} `));
  expect(limited).toContain(`qdisc ingress ffff: dev ${cable!} `);
  end();
  const outside = spawn('nsenter', [
    ...['--net', '--target', String(machines.holders[1]!.pid), process.execPath, '-e'],
    `require('net').createServer((s) => s.end('outside\\n')).listen(${PORT}, () => console.log('ready'))`,
  ]);
  servers.push(() => outside.kill());
  await once(outside.stdout, 'data');
  expect(await ask(name, ['10.9.0.2'])).toEqual(['outside']);
  outside.kill();
});

test('where the machine forwards nothing of others, envs are let through all the same', async () => {
  await machines.on(0, 'iptables -P FORWARD DROP');
  const name = onSecond();
  const end = await serve(name);
  const talk = 'exec bash -c "exec 3<>/dev/tcp/10.9.0.1/8080; cat <&3"';
  expect(await machines.on(1, talk)).toBe(`${name}\n`);
  const others = NAMES.filter((each) => each !== name);
  for (const from of others) expect(await ask(from, [name])).toEqual([name]);
  end();
  await machines.on(0, 'iptables -P FORWARD ACCEPT');
});

test('rules of the packet filter that were flushed come again with the next start', async () => {
  const rules = 'iptables-save | grep BYREF | sort';
  const before = await machines.on(0, rules);
  expect(before.match(/^-A/gm)).toHaveLength(9);
  await machines.on(0, 'for table in raw nat filter; do iptables -t $table -F; done');
  await ok('restart', onSecond());
  expect(await machines.on(0, rules)).toBe(before);
});

test('when no bridge has a port left, the next start says so, and leaves nothing', async () => {
  const { code, stderr } = await machines.byref(['start', 'e7'], env);
  expect([code, stderr]).toEqual([NO_SPACE, expect.stringMatching(/6 envs run on byref0 .*Stop/s)]);
  expect(await cables('byref0-1')).toHaveLength(3);
});

test('the next env takes a port that is free again, of the first bridge first', async () => {
  const [second, first] = [onSecond(), NAMES.find((name) => name !== onSecond())!];
  await ok('stop', second, first, '--fast');
  await ok('start', 'e7');
  const all = (await cables('byref0')).length + (await cables('byref0-1')).length;
  expect(all).toBe(NAMES.length - 1);
  await ok('stop', 'e7', '--fast');
});

test('the second bridge goes with its last env, and comes again', async () => {
  await ok('stop', '--all', '--fast');
  expect(await leftOnMachine()).toBe('');
  expect(existsSync(path.join(r.root.env['BYREF_RUN']!, 'bridges'))).toBe(true);
  expect(readdirSync(path.join(r.root.env['BYREF_RUN']!, 'bridges'))).toEqual([]);
  await ok('start', ...NAMES);
  expect(await cables('byref0-1')).toHaveLength(3);
});

test.each(['port-taken', 'rules-made', 'bridge-made'])(
  'a start that is killed (%s): the next one puts it right',
  async (failpoint) => {
    await ok('stop', '--all', '--fast');
    await ok('start', 'e1', 'e2', 'e3');
    await machines.on(0, 'iptables -t nat -F');
    const killed = { ...env, BYREF_FAILPOINT: failpoint };
    await machines.byref(['start', 'e4'], killed);
    expect(await cables('byref0-1')).toEqual([]);
    await ok('start', 'e4', 'e5');
    expect(await cables('byref0-1')).toHaveLength(2);
    const end = await serve('e1');
    expect(await ask('e4', ['e1'])).toEqual(['e1']);
    end();
  },
);

test.each(['bridge-removed', 'rules-removed'])(
  'a stop that is killed (%s): the next one ends it',
  async (failpoint) => {
    await ok('stop', '--all', '--fast');
    await ok('start', 'e1', 'e2', 'e3', 'e4');
    const killed = { ...env, BYREF_FAILPOINT: failpoint };
    expect((await machines.byref(['stop', '--all', '--fast'], killed)).code).not.toBe(0);
    await ok('stop', '--all', '--fast');
    expect(await leftOnMachine()).toBe('');
    expect(readdirSync(path.join(r.root.env['BYREF_RUN']!, 'bridges'))).toEqual([]);
  },
);

it('a network has ports for all addresses of its standard subnet', () => {
  const [first, ...others] = roomOf(1023);
  expect([first! + others.length, new Set(others)]).toEqual([1023, new Set([1022])]);
  expect(roomOf(1023).reduce((sum, each) => sum + each)).toBeGreaterThan(2 ** 16 - 3);
});

it.each(['byref0', 'b23456789012345'])('the devices of further bridges of %s', (first) => {
  const names = [1, 64].flatMap((index) =>
    Object.values<string>({ ...devicesOfBridge(first, index) }),
  );
  expect(new Set(names).size).toBe(6);
  expect(names.filter((name) => name.length > IFNAME_MAX)).toEqual([]);
});

it.each([
  ['10.111.0.0/16', '10.111.0.1/16'],
  ['192.168.7.130/25', '192.168.7.129/25'],
])('the gateway of %s', (subnet, gateway) => {
  expect(gatewayOf(subnet)).toBe(gateway);
});
