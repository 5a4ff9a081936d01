/** What programs in a running env try against the machine, the templates and other envs: it is refused. */
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hashObjects } from '../suite/objects.ts';
import { runAsNobody } from '../support/machine/nobody.ts';
import { run, sh } from '../support/machine/program.ts';
import { RunRoot } from './run-root.ts';

/** A program that tries one way out: test/syscalls/escapes.c. */
const ESCAPES = fileURLToPath(new URL('../syscalls/build/Release/escapes', import.meta.url));

let r: RunRoot;
let objects: ReturnType<typeof hashObjects>;

beforeAll(async () => {
  await RunRoot.prepare();
  r = await RunRoot.create();
  objects = hashObjects(r.root.path);
  for (const name of ['one', 'two']) {
    await r.root.create(name, 'tiny');
    await r.root.ok('start', name);
    copyFileSync(ESCAPES, path.join(r.root.path, 'mnt', name, 'escapes'));
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

/**
 * Ways of test/syscalls/escapes.c. The disk is the one that the root of byref is on. User namespaces in an env are no escape, and
 * allowed, as in Podman: nothing is to be had in them either.
 */
const ways = (): [way: string, argument: string][] => [
  ['mount', ''],
  ['bind', ''],
  ['remount', '/'],
  ['remount', '/proc/sys'],
  ['umount', '/proc/sys'],
  ['umount', '/proc/kcore'],
  ['disk', String(statSync(r.root.path).dev)],
  ['memory', ''],
  ['handle', ''],
  ['bpf', ''],
  ['module', ''],
  ['write', '/proc/sys/kernel/core_pattern'],
  ['write', '/proc/sys/vm/drop_caches'],
  ['write', '/proc/sysrq-trigger'],
  ['write', '/sys/fs/fuse/connections/1/abort'],
  ['write', '/sys/fs/cgroup/memory/release_agent'],
  ['write', '/sys/fs/cgroup/release_agent'],
  ...[
    ['remount', '/proc/sys'],
    ['umount', '/proc/sys'],
    ['umount', '/proc/kcore'],
    ['proc', ''],
    ['sysfs', ''],
    ['release-agent', ''],
    ['disk', String(statSync(r.root.path).dev)],
    ['memory', ''],
    ['handle', ''],
    ['bpf', ''],
    ['module', ''],
    ['write', '/proc/sys/kernel/core_pattern'],
  ].map(([way = '', argument = '']): [string, string] => [`nested ${way}`, argument]),
];

test('system calls lead nowhere out of it: mounts, namespaces, devices, handles, programs of the kernel', async () => {
  // They do where nothing keeps them: what is refused is not for want of the program.
  for (const way of ['mount', 'bind', 'proc']) {
    const { code, stderr } = await run('unshare', ['-m', ESCAPES, way]);
    expect(code, `${way}: ${stderr}`).toBe(0);
  }
  const worked: string[] = [];
  for (const [way, argument] of ways()) {
    const { code, stderr } = await inside(`/escapes ${way} ${argument}`);
    if (code !== 1) worked.push(`${way} ${argument}: exit status ${code} ${stderr}`);
  }
  expect(worked).toEqual([]);
});

test('sockets of byref are not in it, nor anything below the root of its processes but itself', async () => {
  const runDir = r.root.env['BYREF_RUN'] ?? '';
  const sockets = readdirSync(runDir, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.sock'))
    .map((name) => path.join(runDir, name));
  expect(sockets.length).toBeGreaterThan(1);
  for (const socket of sockets) {
    expect((await inside(`/escapes connect ${socket}`)).code, socket).toBe(1);
    expect((await inside(`/escapes connect /proc/1/root${socket}`)).code, socket).toBe(1);
  }
  expect(await r.exec('one', 'ls /proc/1/root')).toBe(await r.exec('one', 'ls /'));
  for (const at of [r.root.path, runDir]) {
    expect((await inside(`ls /proc/1/root${at} || ls /proc/1/cwd/../../..${at}`)).code).not.toBe(0);
  }
});

test('processes of the machine and of another env can’t be attached to', async () => {
  const { driverPid } = await r.root.info('one');
  const { pid } = await r.root.json<{ pid: number }>('info', 'two');
  for (const stranger of [driverPid, pid, process.pid]) {
    expect((await inside(`/escapes attach ${stranger}`)).code).toBe(1);
  }
});

test('a set-user-ID program that is made in it is out of reach of users of the machine', async () => {
  await inside('cp /escapes /rooted; chown 0:0 /rooted; chmod 4755 /rooted');
  const { mountpoint } = await r.root.json<{ mountpoint: string }>('info', 'one');
  const roots = [mountpoint, ...r.bundles().map((bundle) => path.join(bundle, 'rootfs'))];
  for (const at of roots) {
    // By a shell: the program that changes to the user has root's capabilities until it executes another.
    const { code } = await runAsNobody(['sh', '-c', '"$1" mount', 'sh', path.join(at, 'rooted')]);
    expect(code, at).toBe(126);
  }
});

test.each(['hostname', 'hosts', 'resolv.conf', 'passwd', 'group', 'machine-id'])(
  'byref neither reads nor writes the machine’s file that /etc/%s leads to',
  async (file) => {
    const outside = path.join(r.root.base, `outside-${file}`);
    writeFileSync(outside, 'machine:x:0:0::/:/bin/sh\n');
    await inside(`cp /etc/${file} /kept; ln -sf ${outside} /etc/${file}`);
    await r.root.byref('restart', 'one');
    for (const command of [
      ['exec', '-u', 'machine', 'one', '--', 'id'],
      ['info', 'one'],
      ['diff', 'one'],
      ['volume', 'list', 'one'],
    ]) {
      const { stdout } = await r.root.byref(...command);
      expect(stdout).not.toContain('machine:x');
    }
    expect(readFileSync(outside, 'utf8')).toBe('machine:x:0:0::/:/bin/sh\n');
    const mountpoint = path.join(r.root.path, 'mnt', 'one');
    await sh('rm -f "$1/etc/$2"; [ ! -e "$1/kept" ] || mv "$1/kept" "$1/etc/$2"', [
      mountpoint,
      file,
    ]);
    await r.root.byref('start', 'one');
    expect((await inside('true')).code).toBe(0);
  },
);

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
