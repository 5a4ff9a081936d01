import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

let root: TestRoot;
let mountpoint: string;
const programs: ChildProcess[] = [];

beforeEach(async () => {
  root = await TestRoot.create();
  mountpoint = await root.mounted('one', root.directory('source'));
});
afterEach(async () => {
  await Promise.all(programs.splice(0).map(end));
  await root.dispose();
});

/** A program that stays in the mount until it is ended. */
async function user(script: string): Promise<ChildProcess> {
  const child = spawn('bash', ['-c', `${script}; echo ready; exec sleep 300`], {
    cwd: mountpoint,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  programs.push(child);
  await once(child.stdout, 'data');
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

test('umount of an env in use is refused, and names the process and how it uses it', async () => {
  const child = await user('true');
  const { code, stderr } = await root.byref('umount', 'one');
  expect(code).toBe(EXIT.busy);
  expect(stderr).toContain(`sleep (pid ${child.pid}, cwd)`);
  expect((await root.info('one')).state).toBe('mounted');
});

test('an open file is named, too', async () => {
  const child = await user('exec 9>file; cd /');
  const { stderr } = await root.byref('umount', 'one');
  expect(stderr).toContain(`(pid ${child.pid}, fd)`);
});

test('a mount below is named', async () => {
  await sh('mkdir "$1/proc"; mount -t proc proc "$1/proc"', [mountpoint]);
  const { code, stderr } = await root.byref('umount', 'one');
  await sh('umount "$1/proc"', [mountpoint]);
  expect(code).toBe(EXIT.busy);
  expect(stderr).toContain(`mounts below it: ${mountpoint}/proc`);
});

test('umount --lazy detaches now, and the driver closes the env when the last user ends', async () => {
  const child = await user('exec 9>file');
  expect(await root.ok('umount', '--lazy', 'one')).toContain('detached');
  expect((await root.info('one')).state).toBe('detached');
  // What the user writes is seen by who mounts it meanwhile.
  await root.mount('one');
  await sh('echo more >"$1"', [`/proc/${child.pid}/fd/9`]);
  expect((await sh('cat "$1/file"', [mountpoint])).stdout).toBe('more\n');
  await root.ok('umount', '--lazy', 'one');
  await end(child);
  await expect
    .poll(async () => (await root.info('one')).state, { timeout: 10_000 })
    .toBe('stopped');
  await root.mount('one');
  expect((await sh('ls "$1"', [mountpoint])).stdout).toBe('file\n');
});

test('umount --force ends it under its users', async () => {
  await user('exec 9>file');
  expect(await root.ok('umount', '--force', 'one')).toContain('unmounted');
  expect((await root.info('one')).state).toBe('stopped');
});

test('mount of what programs still use with other settings names them, as umount does', async () => {
  const child = await user('exec 9>file; cd /');
  await root.ok('umount', '--lazy', 'one');
  for (const option of ['--trace', '--no-passthrough', '--transport=fuse-native']) {
    const { code, stderr } = await root.byref('mount', 'one', option);
    expect([code, stderr]).toEqual([
      EXIT.busy,
      expect.stringContaining(`sleep (pid ${child.pid}, fd)`),
    ]);
  }
  // As it is, it comes back, also where it is read-only.
  await root.mount('one');
  await root.ok('umount', '--lazy', 'one');
  await end(child);
  await expect.poll(async () => (await root.info('one')).state).toBe('stopped');
  await root.mount('one', '-o', 'ro');
  await user('exec 9<file');
  await root.ok('umount', '--lazy', 'one');
  await root.mount('one');
  expect((await root.info('one')).options).toBe('ro,relatime');
});

test('mount, umount and destroy go on after an env that is not there', async () => {
  await root.umount('one');
  const missing = expect.stringContaining('there is no env "nosuch"') as string;
  for (const [verb, ...more] of [['mount'], ['umount'], ['destroy', '--force']]) {
    const { code, stdout, stderr } = await root.byref(verb!, 'nosuch', 'one', 'one', ...more);
    expect([code, stderr]).toEqual([EXIT.notFound, missing]);
    expect(stdout).toMatch(/^one: .*\n$/);
  }
});

test('umount --all lets go of all devices, so that driver and holder end', async () => {
  const names = Array.from({ length: 12 }, (_, i) => `many-${i}`);
  await root.ok('create', ...names, '--os', 'template-of-one');
  for (let round = 0; round < 4; round++) {
    await root.ok('mount', ...names);
    await root.umount();
    // A holder that still held one would stay for half a minute.
    await expect.poll(() => root.processes(), { timeout: 10_000 }).toEqual([]);
  }
});
