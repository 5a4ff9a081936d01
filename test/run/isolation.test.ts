/** What programs in a running env try against the machine, the templates and other envs: it is refused. */
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hashObjects } from '../suite/objects.ts';
import { runAsNobody } from '../support/machine/nobody.ts';
import { run } from '../support/machine/program.ts';
import { RunRoot } from './run-root.ts';

let r: RunRoot;
let objects: ReturnType<typeof hashObjects>;

beforeAll(async () => {
  await RunRoot.prepare();
  r = await RunRoot.create();
  objects = hashObjects(r.root.path);
  for (const name of ['one', 'two']) {
    await r.root.create(name, 'tiny');
    await r.root.ok('start', name);
  }
});
afterAll(async () => {
  expect(hashObjects(r.root.path)).toEqual(objects);
  await r.dispose();
});

/** Runs a script as root of the env. */
const inside = (script: string) => r.root.byref('exec', 'one', '--', 'sh', '-c', script);

test.each([
  ['a block device', 'mknod /disk b 254 0 && head -c 512 /disk'],
  ['a character device that shows memory', 'mknod /mem c 1 1 && head -c 1 /mem'],
  ['a mount', 'mkdir -p /m && mount -t tmpfs tmpfs /m'],
  ['the kernel’s settings', 'echo "|/bin/sh" >/proc/sys/kernel/core_pattern'],
  ['sysrq', 'echo b >/proc/sysrq-trigger'],
  ['memory of the machine', 'head -c 1 /proc/kcore | grep -q .'],
  ['control groups', 'cd /sys/fs/cgroup/memory 2>/dev/null || cd /sys/fs/cgroup; mkdir own'],
  ['the machine’s /sys', 'echo 1 >/sys/kernel/mm/ksm/run'],
  ['sockets of drivers', 'ls /run/byref || ls "$BYREF_RUN"'],
  ['the store', 'ls /var/lib/byref'],
])('root can’t reach %s', async (_what, script) => {
  const { code } = await inside(script);
  expect(code).not.toBe(0);
});

test('it sees its own processes only, and can signal no other', async () => {
  const { driverPid } = await r.root.info('one');
  const { stdout } = await inside('cd /proc; printf "%s\\n" [0-9]*');
  expect(
    stdout
      .trim()
      .split('\n')
      .map(Number)
      .every((pid) => pid < 1000),
  ).toBe(true);
  await inside(`kill -9 ${driverPid} -1 2>/dev/null`);
  expect((await r.root.info('one')).driverPid).toBe(driverPid);
  expect((await r.root.byref('exec', 'two', 'true')).code).toBe(0);
  await r.root.ok('start', 'one');
});

test('its users are nobody on the machine, and others than those of another env', async () => {
  const uidOf = async (env: string): Promise<number> => {
    const { pid } = await r.root.json<{ pid: number }>('info', env);
    const { stdout } = await run('stat', ['-c', '%u', `/proc/${pid}`]);
    return Number(stdout);
  };
  const [one, two] = [await uidOf('one'), await uidOf('two')];
  for (const uid of [one, two]) expect(uid).toBeGreaterThanOrEqual(2 ** 30);
  expect(Math.abs(one - two)).toBeGreaterThanOrEqual(65_536);
});

test('users of the machine reach neither its mount nor its bundle', async () => {
  await inside('cp /bin/dash /shell; chmod 4755 /shell');
  const { mountpoint } = await r.root.json<{ mountpoint: string }>('info', 'one');
  expect(existsSync(path.join(mountpoint, 'shell'))).toBe(true);
  expect((await runAsNobody(['ls', path.join(mountpoint, 'shell')])).code).not.toBe(0);
  for (const bundle of r.bundles()) {
    expect((await runAsNobody(['ls', path.join(bundle, 'rootfs')])).code).not.toBe(0);
    expect((await runAsNobody(['cat', path.join(bundle, 'config.json')])).code).not.toBe(0);
  }
});

test('symlinks of its own lead byref nowhere but into the env', async () => {
  const outside = path.join(r.root.base, 'outside');
  writeFileSync(outside, 'machine\n');
  await inside(
    `ln -sf ${outside} /etc/hostname; cp /etc/passwd /p; rm /etc/passwd; ln -s ${outside} /etc/passwd`,
  );
  expect((await r.root.byref('exec', '-u', 'machine', 'one', 'id')).code).toBe(3);
  await inside('rm /etc/passwd; mv /p /etc/passwd');
  await r.root.ok('restart', 'one');
  expect(await r.exec('one', 'uname -n')).toBe('one\n');
});
