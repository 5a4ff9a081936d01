/** Debian with systemd as the first process of an env: booted, patched while it runs, and restarted where that is needed. */
import { appendFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EnvProcess } from '../../src/manager/envs/runtime/processes.ts';
import { output, run } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { BUILD_ARCHIVE_MS, systemArchive } from '../support/packages/debian.ts';
import { inRunning, leftoversOf } from './run-root.ts';

const TIMEOUT_MS = 180_000;

let root: TestRoot;

beforeAll(async () => {
  const archive = await systemArchive();
  root = await TestRoot.create();
  const tree = root.directory('tree');
  await output('tar', ['--extract', '--file', archive, '--directory', tree]);
  await root.import('system', tree, 'os');
  await root.create('server', 'system');
  // Another program, as a security update brings one: it does the same.
  appendFileSync(path.join(tree, 'usr/sbin/nginx'), 'patched');
  await root.import('system', tree, 'os');
  rmSync(tree, { recursive: true });
}, BUILD_ARCHIVE_MS);

afterAll(async () => {
  await root.byref('stop', '--all', '--fast');
  const left = leftoversOf(root);
  await root.dispose();
  expect(left).toEqual([]);
}, TIMEOUT_MS);

const inside = (script: string): Promise<string> => inRunning(root, 'server', script);

const pids = async (command: RegExp): Promise<number[]> =>
  (await root.json<EnvProcess[]>('ps', 'server'))
    .filter((each) => command.test(each.command))
    .map(({ pid }) => pid);

/** What nginx says that it is, asked as a client does. */
const ask = (): Promise<string> =>
  inside('exec 3<>/dev/tcp/127.0.0.1/80; printf "HEAD / HTTP/1.0\\r\\n\\r\\n" >&3; head -1 <&3');

test(
  'it boots, with every unit, and its services answer',
  async () => {
    // A unit that fails does not keep it from being up.
    const mountpoint = await root.mount('server');
    writeFileSync(
      path.join(mountpoint, 'etc/systemd/system/broken.service'),
      '[Service]\nType=oneshot\nExecStart=/bin/false\n',
    );
    const wants = path.join(mountpoint, 'etc/systemd/system/multi-user.target.wants');
    symlinkSync('/etc/systemd/system/broken.service', path.join(wants, 'broken.service'));
    const { code, stderr } = await root.byref('start', '--ready', 'server');
    expect([code, stderr]).toEqual([
      0,
      'byref: server is up, but units failed in it: broken.service\n',
    ]);
    await inside('systemctl disable -q broken; systemctl reset-failed broken');
    expect(await root.json('start', '--ready', 'server')).toMatchObject([
      { already: true, ready: { failedUnits: [] } },
    ]);
    expect(await inside('systemctl is-system-running')).toBe('running\n');
    expect(await inside('systemctl --failed --no-legend')).toBe('');
    expect(await ask()).toContain('200 OK');
    expect(await root.ok('logs', 'server')).toContain('Reached target');
  },
  TIMEOUT_MS,
);

test(
  'a patch is there at once; what runs the old program is restarted, and nothing else',
  async () => {
    expect((await root.json<unknown[]>('stale')).length).toBe(0);
    const journal = await pids(/journald/);
    const nginx = await pids(/nginx: master/);
    await root.ok('patch', 'system');
    expect(await inside('tail -c 7 /usr/sbin/nginx')).toBe('patched');
    const stale = await root.json<{ path: string }[]>('stale');
    expect(new Set(stale.map((each) => each.path))).toEqual(new Set(['/usr/sbin/nginx']));
    expect(await root.ok('restart', '--stale')).toBe('server: restarted nginx.service\n');
    expect(await root.json('stale')).toEqual([]);
    expect(await pids(/journald/)).toEqual(journal);
    expect(await pids(/nginx: master/)).not.toEqual(nginx);
    expect(await ask()).toContain('200 OK');
    expect(await root.ok('restart', '--stale')).toBe('nothing is stale\n');
  },
  TIMEOUT_MS,
);

test(
  'so is the way back',
  async () => {
    await root.ok('rollback', 'system');
    expect(await inside('tail -c 7 /usr/sbin/nginx')).not.toBe('patched');
    await root.ok('restart', '--stale', 'server');
    expect(await root.json('stale')).toEqual([]);
    expect(await ask()).toContain('200 OK');
    expect(await inside('dpkg --verify; dpkg --audit')).toBe('');
  },
  TIMEOUT_MS,
);

test(
  'its terminal is there as long as it is, whoever connects to it',
  async () => {
    const connect = (): Promise<{ stdout: string }> =>
      run(
        'timeout',
        [
          '3',
          'sh',
          '-c',
          `(printf "\\r"; sleep 2) | "$1" console server`,
          'sh',
          ...[path.resolve('bin/byref')],
        ],
        {
          env: root.env,
        },
      );
    for (let i = 0; i < 2; i++) expect((await connect()).stdout).toContain('login:');
  },
  TIMEOUT_MS,
);

test(
  'it shuts down in its own way',
  async () => {
    expect(await root.ok('stop', '-t', '1m', 'server')).toBe('server: stopped\n');
    expect(await root.ok('logs', 'server')).toMatch(/Reached target.*(?:Shutdown|Power)/i);
  },
  TIMEOUT_MS,
);
