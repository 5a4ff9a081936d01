/** Debian with systemd and a web server on the machine's bridge: reached by address, published port and name. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import { output } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { BUILD_ARCHIVE_MS, systemArchive } from '../support/packages/debian.ts';
import { Machines } from './machines.ts';
import { inRunning, leftoversOf } from './run-root.ts';

const TIMEOUT_MS = 180_000;

let root: TestRoot;
let machines: Machines;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  const archive = await systemArchive();
  root = await TestRoot.create();
  const tree = root.directory('tree');
  await output('tar', ['--extract', '--file', archive, '--directory', tree]);
  await root.import('system', tree, 'os');
  rmSync(tree, { recursive: true });
  for (const name of ['server', 'client']) await root.create(name, 'system');
  env = { ...root.env, BYREF_NETWORK: 'bridge' };
  machines = await Machines.create();
  await ok('set', 'server', 'ports=8080:80', 'health=test -e /run/nginx.pid');
  await ok('set', 'client', 'init=sleep infinity');
  await ok('start', '--ready', 'server', 'client');
}, BUILD_ARCHIVE_MS);

afterAll(async () => {
  await ok('stop', '--all', '--fast');
  const left = leftoversOf(root);
  await root.dispose();
  machines.end();
  expect(left).toEqual([]);
}, TIMEOUT_MS);

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await machines.byref(args, env);
  expect(code, stdout + stderr).toBe(0);
  return stdout;
}

const addressOf = async (name: string): Promise<string> =>
  (JSON.parse(await ok('list', '--json')) as EnvSummary[]).find((each) => each.name === name)
    ?.address ?? '';

/** A script that asks a web server. */
const ask = (host: string, port: number): string =>
  `exec 3<>/dev/tcp/${host}/${port}; printf "HEAD / HTTP/1.0\\r\\n\\r\\n" >&3; head -1 <&3`;

test('its web server answers at its address, its published port, and its name', async () => {
  const inBash = (which: 0 | 1, script: string) => machines.on(which, `exec bash -c '${script}'`);
  expect(await inBash(0, ask(await addressOf('server'), 80))).toContain('200 OK');
  expect(await inBash(1, ask('10.9.0.1', 8080))).toContain('200 OK');
  expect(await inRunning(root, 'client', ask('server', 80))).toContain('200 OK');
  expect(await inRunning(root, 'client', ask('server.byref', 80))).toContain('200 OK');
  expect(await inRunning(root, 'server', 'getent hosts client.byref')).toContain(
    await addressOf('client'),
  );
});

test(
  'systemd takes what it is told, and dpkg finds nothing changed',
  async () => {
    const script =
      'cat /run/systemd/resolved.conf.d/byref.conf; systemctl is-system-running; hostname';
    const said = await inRunning(root, 'server', script);
    expect(said).toMatch(/^\[Resolve\]\nDNS=10[.]111[.]0[.]1\nDomains=byref.*\nrunning\nserver\n$/);
    expect(await inRunning(root, 'server', 'dpkg --verify; dpkg --audit')).toBe('');
    // The files are its own: they can be replaced, as editors and packages do.
    await inRunning(
      root,
      'server',
      'sed -i "s/^search.*/search lan/" /etc/resolv.conf; ln -sf /run/x /etc/resolv.conf; hostnamectl set-hostname other',
    );
    await ok('restart', '-t', '1m', '--ready', 'server');
    expect(await inRunning(root, 'server', 'readlink /etc/resolv.conf; hostname')).toBe(
      '/run/x\nother\n',
    );
  },
  TIMEOUT_MS,
);
