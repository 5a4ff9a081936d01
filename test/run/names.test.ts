/** What an env on a bridge is told of its network: its own files, and the names of other envs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hostsOf, labelOf } from '../../src/manager/envs/network/names.ts';
import { bridgeResolver, resolvedText } from '../../src/manager/envs/network/resolver.ts';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import { Machines } from './machines.ts';
import { inRunning, RunRoot } from './run-root.ts';

const POLL = { timeout: 20_000, interval: 100 };

let r: RunRoot;
let machines: Machines;
let env: NodeJS.ProcessEnv;
let outside: ChildProcess;

beforeAll(async () => {
  await RunRoot.prepare();
  r = await RunRoot.create();
  machines = await Machines.create();
  // The name server of the world, on the other machine.
  outside = spawn(
    'nsenter',
    [
      ...['--net', '--target', String(machines.holders[1]!.pid), 'dnsmasq', '--keep-in-foreground'],
      ...['--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--pid-file='],
      ...['--address=/outside.test/10.9.9.9', '--listen-address=10.9.0.2', '--bind-interfaces'],
    ],
    { stdio: 'ignore' },
  );
  // dnsmasq, a user of its own, has to get there.
  const resolver = path.join(r.root.env['BYREF_RUN']!, 'resolv.conf');
  writeFileSync(resolver, 'nameserver 10.9.0.2\nsearch lan.test\noptions timeout:1\n');
  env = { ...r.root.env, BYREF_NETWORK: 'bridge', BYREF_RESOLVER: resolver };
  r.root.env['BYREF_RESOLVER'] = resolver;
  for (const name of ['web', 'client']) await r.root.create(name, 'tiny');
  await ok('start', 'web', 'client');
});
afterAll(async () => {
  await ok('stop', '--all', '--fast');
  const left = dnsmasqs();
  await r.dispose();
  outside.kill();
  machines.end();
  expect(left).toEqual([]);
});

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await machines.byref(args, env);
  expect(code, stdout + stderr).toBe(0);
  return stdout + stderr;
}

const addressOf = async (name: string): Promise<string | null | undefined> =>
  (JSON.parse(await ok('list', '--json')) as EnvSummary[]).find((each) => each.name === name)
    ?.address;

/** The address that a name leads to, in an env; '' for none. */
const lookUp = async (from: string, name: string): Promise<string> =>
  (await inRunning(r.root, from, `getent ahostsv4 ${name} | sed 's/ .*//;q'`)).trim();

const known = async (name: string): Promise<void> => {
  await expect.poll(() => lookUp('client', name), POLL).toBe(await addressOf(name));
};

/** The pids of all dnsmasq that serve bridges of this root. */
const dnsmasqs = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        return words.includes(`--pid-file=${env['BYREF_RUN']}`);
      } catch {
        return false;
      }
    })
    .map(Number);

const inEnv = (name: string, file: string): string =>
  readFileSync(path.join(r.root.path, 'mnt', name, file), 'utf8');

test('envs find each other by name, and the world', async () => {
  await known('web');
  expect(await lookUp('client', 'web.byref')).toBe(await addressOf('web'));
  expect(await lookUp('web', 'client')).toBe(await addressOf('client'));
  expect(await lookUp('client', 'outside.test')).toBe('10.9.9.9');
  expect(await lookUp('client', 'nobody')).toBe('');
  expect(dnsmasqs()).toHaveLength(1);
});

test('also after a restart with another address; the env’s own files say it, too', async () => {
  const before = await addressOf('web');
  await ok('restart', 'web');
  const after = await addressOf('web');
  expect(after).not.toBe(before);
  await known('web');
  expect(inEnv('web', 'etc/hosts')).toContain(`${after}\tweb\n`);
  expect(inEnv('web', 'etc/hosts')).not.toContain(before);
  expect(inEnv('web', 'etc/resolv.conf')).toMatch(
    /^nameserver 10[.]111[.]0[.]1\nsearch byref lan[.]test\noptions timeout:1$/m,
  );
  expect(await inRunning(r.root, 'web', 'getent ahostsv4 web | sed "s/ .*//;q"; hostname')).toBe(
    `${after}\nweb\n`,
  );
});

test('a name goes with its env, and comes with a new name or a clone', async () => {
  await ok('stop', 'web');
  await expect.poll(() => lookUp('client', 'web'), POLL).toBe('');
  await ok('rename', 'web', 'shop');
  await ok('clone', 'shop', 'twin');
  await ok('start', 'shop', 'twin');
  for (const name of ['shop', 'twin']) {
    await known(name);
    expect(inEnv(name, 'etc/hostname')).toBe(`${name}\n`);
    expect(inEnv(name, 'etc/hosts')).toContain(`${await addressOf(name)}\t${name}\n`);
  }
  expect(await lookUp('client', 'web')).toBe('');
  await ok('stop', 'shop', 'twin');
  await ok('rename', 'shop', 'web');
  await ok('start', 'web');
});

test('what is changed in the env stays as it is', async () => {
  await inRunning(
    r.root,
    'web',
    'echo "nameserver 9.9.9.9" >/etc/resolv.conf; echo "10.0.0.7 db" >>/etc/hosts; echo other >/etc/hostname',
  );
  expect(await ok('restart', 'web')).toContain('/etc/resolv.conf of web was changed in it');
  expect(inEnv('web', 'etc/resolv.conf')).toBe('nameserver 9.9.9.9\n');
  expect(inEnv('web', 'etc/hostname')).toBe('other\n');
  const hosts = inEnv('web', 'etc/hosts');
  expect(hosts).toContain('10.0.0.7 db\n');
  expect(hosts).toContain(`${await addressOf('web')}\tother\n`);
  expect(await inRunning(r.root, 'web', 'hostname')).toBe('other\n');
  // It is said once.
  await inRunning(r.root, 'web', `sed -i /other/d /etc/hosts`);
  const said = await ok('restart', 'web');
  expect(said).not.toContain('resolv.conf');
  expect(said).toContain('/etc/hosts of web was changed');
  expect(inEnv('web', 'etc/hosts')).not.toContain('other');
  // Also in a clone, but for what makes it a machine of its own.
  await ok('stop', 'web');
  await ok('clone', 'web', 'same');
  await ok('start', 'web', 'same');
  expect(inEnv('same', 'etc/resolv.conf')).toBe('nameserver 9.9.9.9\n');
  expect(inEnv('same', 'etc/hostname')).toBe('same\n');
  expect(inEnv('same', 'etc/hosts')).toContain(`${await addressOf('same')}\tsame\n`);
  await inRunning(r.root, 'web', 'rm /etc/resolv.conf /etc/hostname /etc/hosts');
  await ok('restart', 'web');
  expect(inEnv('web', 'etc/resolv.conf')).toContain('nameserver 10.111.0.1\n');
  expect(inEnv('web', 'etc/hostname')).toBe('web\n');
  expect(inEnv('web', 'etc/hosts')).toContain(`${await addressOf('web')}\tweb\n`);
  expect(await inRunning(r.root, 'web', 'dpkg --verify; dpkg --audit')).toBe('');
  await ok('destroy', '--force', 'same');
});

test('files that are not to be kept are not touched', async () => {
  await ok('set', 'web', 'managed-files=hostname');
  const before = inEnv('web', 'etc/hosts');
  await ok('restart', 'web');
  expect(inEnv('web', 'etc/hosts')).toBe(before);
  await ok('set', 'web', 'managed-files=');
  await ok('restart', 'web');
  expect(inEnv('web', 'etc/hosts')).toContain(`${await addressOf('web')}\tweb\n`);
  expect((await machines.byref(['set', 'web', 'managed-files=passwd'], env)).code).toBe(2);
});

test('one that stays mounted has the machine’s name servers again', async () => {
  await ok('mount', 'twin');
  await ok('start', 'twin');
  expect(inEnv('twin', 'etc/resolv.conf')).toContain('nameserver 10.111.0.1\n');
  await ok('stop', 'twin');
  expect(inEnv('twin', 'etc/resolv.conf')).toContain('nameserver 10.9.0.2\n');
  expect(inEnv('twin', 'etc/hosts')).toContain('127.0.1.1\ttwin\n');
});

test('its dnsmasq is killed: the next start brings another', async () => {
  const [first] = dnsmasqs();
  process.kill(first!, 'SIGKILL');
  await expect.poll(dnsmasqs, POLL).toEqual([]);
  expect(await lookUp('client', 'web.byref')).toBe('');
  await ok('restart', 'web');
  await known('web');
  expect(dnsmasqs()).toHaveLength(1);
});

test('of two envs with one name, in two stores, the one that was first has it', async () => {
  const second = await RunRoot.create();
  try {
    const there = { ...env, BYREF_ROOT: second.root.path };
    await second.root.create('web', 'tiny');
    const started = await machines.byref(['start', 'web'], there);
    expect([started.code, started.stderr]).toEqual([
      0,
      expect.stringContaining('web.byref is another env’s'),
    ]);
    expect(dnsmasqs()).toHaveLength(1);
    await known('web');
    const { address } = JSON.parse(
      (await machines.byref(['info', 'web', '--json'], there)).stdout,
    ) as EnvSummary;
    await ok('stop', 'web');
    await expect.poll(() => lookUp('client', 'web'), POLL).toBe(address);
    expect((await machines.byref(['stop', '--fast', 'web'], there)).code).toBe(0);
    await ok('start', 'web');
  } finally {
    await second.dispose();
  }
});

test('the last env takes the dnsmasq with it', async () => {
  await ok('stop', '--all', '--fast');
  expect(dnsmasqs()).toEqual([]);
  const names = path.join(env['BYREF_RUN']!, 'names');
  expect(existsSync(names) ? readdirSync(names) : []).toEqual([]);
});

test('without dnsmasq it starts all the same', async () => {
  await machines.on(0, 'ip link set byref0 up');
  const taken = spawn('nsenter', [
    ...['--net', '--target', String(machines.holders[0]!.pid), process.execPath, '-e'],
    `const s = require('dgram').createSocket('udp4'); s.bind(53, '0.0.0.0', () => console.log('ready'))`,
  ]);
  await new Promise((resolve) => taken.stdout.once('data', resolve));
  const said = await ok('start', 'web');
  taken.kill();
  expect(said).toContain('web does not know other envs by name: dnsmasq');
  expect(inEnv('web', 'etc/resolv.conf')).toContain('nameserver 10.9.0.2\n');
});

test('start and stop, killed where names are written: the next command puts it right', async () => {
  for (const failpoint of ['names-written', 'managed-noted', 'stop-disconnected']) {
    const killed = { ...env, BYREF_FAILPOINT: failpoint };
    await ok('stop', '--all', '--fast');
    expect((await machines.byref(['start', 'client'], killed)).code).not.toBe(1);
    await machines.byref(['stop', 'client'], killed);
    await ok('start', 'client', 'twin');
    await known('twin');
    expect(inEnv('client', 'etc/hosts')).toContain(`${await addressOf('client')}\tclient\n`);
    expect(dnsmasqs()).toHaveLength(1);
  }
});

test.each([
  ['web', 'web'],
  ['Web_1', 'web-1'],
  ['a.b', 'a-b'],
  ['localhost', null],
])('the name of %s in the network', (name, label) => {
  expect(labelOf(name)).toBe(label);
});

test('the first of two addresses of a name counts', () => {
  const two = [
    { name: 'web', address: '10.0.0.2' },
    { name: 'web', address: '10.0.0.3' },
  ];
  expect(hostsOf(two)).toBe('10.0.0.2 web.byref web\n');
});

test.each([
  ['nameserver 127.0.0.1\nnameserver 10.0.0.1\n', null, 'nameserver 10.0.0.1\n'],
  ['nameserver ::1\n# x\n', null, '# x\n'],
])('the resolver on a bridge without names', (machine, names, text) => {
  expect(bridgeResolver(machine, names)).toBe(text);
});

test('what systemd-resolved is told', () => {
  const resolver = 'nameserver 10.0.0.1\nnameserver 10.0.0.2\nsearch byref lan\n';
  expect(resolvedText(resolver)).toBe('[Resolve]\nDNS=10.0.0.1 10.0.0.2\nDomains=byref lan\n');
});
