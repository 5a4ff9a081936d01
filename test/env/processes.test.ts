import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { openDescriptors } from '../support/machine/leftovers.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

let root: TestRoot;

beforeEach(async () => {
  root = await TestRoot.create();
  await root.ok('template', 'import', 't', root.directory('source'));
});
afterEach(() => root.dispose());

async function create(count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, i) => `env${i}`);
  for (const name of names) await root.ok('create', name, '--os', 't');
  return names;
}

test('commands that start at once share one driver and one holder', async () => {
  const names = await create(6);
  const results = await Promise.all(names.map((name) => root.byref('mount', name)));
  expect(results.map(({ code, stderr }) => `${code}${stderr}`)).toEqual(names.map(() => '0'));
  expect(root.processes()).toHaveLength(2);
});

test('of two commands that mount one env at once, one mounts it, and none breaks it', async () => {
  await create(1);
  const results = await Promise.all([1, 2, 3].map(() => root.byref('mount', 'env0')));
  for (const { code } of results) expect([EXIT.ok, EXIT.busy]).toContain(code);
  expect(results.some(({ code }) => code === EXIT.ok)).toBe(true);
  expect((await root.info('env0')).state).toBe('mounted');
});

test('an env that another process writes is refused, with that process named', async () => {
  await create(1);
  const directory = root.directory('root/envs/1');
  // As byref leaves it: the lock file names its holder.
  writeFileSync(path.join(directory, 'lock'), 'pid 4242\n');
  const holding = spawn('flock', [path.join(directory, 'lock'), 'sh', '-c', 'echo held; cat']);
  await once(holding.stdout, 'data');
  const { code, stderr } = await root.byref('mount', 'env0');
  expect(code, stderr).toBe(EXIT.locked);
  expect(stderr).toContain('process 4242');
  holding.stdin.end();
  await once(holding, 'exit');
});

test('a driver returns every descriptor when its mounts end', async () => {
  const names = await create(12);
  await root.ok('mount', 'env0', 'env1');
  const { driverPid, holderPid } = await root.info('env0');
  const open = (): number[] => [openDescriptors(driverPid!), openDescriptors(holderPid!)];
  const write = (name: string) => sh('echo x >"$1/f"', [path.join(root.path, 'mnt', name)]);
  // What the process opens once and keeps, it has after its first unmount.
  await write('env1');
  await root.ok('umount', 'env1');
  const before = open();
  const others = names.slice(2);
  await root.ok('mount', ...others);
  for (const name of others) await write(name);
  expect(open()[0]).toBeGreaterThan(before[0]!);
  await root.ok('umount', ...others);
  // At most: the connection of the last command may have been open still.
  const left = (): number[] => open().map((count, i) => Math.max(0, count - before[i]!));
  await expect.poll(left, { timeout: 10_000 }).toEqual([0, 0]);
});

test('driver and holder have nothing open below a mount, and no child', async () => {
  await create(1);
  const mountpoint = await root.mount('env0');
  await sh('mkdir "$1/d"; echo x >"$1/d/f"; cat "$1/d/f"', [mountpoint]);
  const { driverPid, holderPid } = await root.info('env0');
  for (const pid of [driverPid!, holderPid!]) {
    const open = readdirSync(`/proc/${pid}/fd`).map((fd) => target(`/proc/${pid}/fd/${fd}`));
    expect(open.filter((file) => file.startsWith(mountpoint))).toEqual([]);
    expect(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')).toBe('');
  }
  // Where a driver finds the root, whatever is mounted over it.
  expect(readlinkSync(`/proc/${driverPid}/cwd`)).toBe(root.path);
  expect(readlinkSync(`/proc/${holderPid}/cwd`)).toBe('/');
});

test('processes end by themselves when nothing is mounted any more', async () => {
  await create(1);
  await root.mount('env0');
  expect(root.processes()).toHaveLength(2);
  await root.ok('umount', 'env0');
  await expect.poll(() => root.processes(), { timeout: 10_000 }).toEqual([]);
});

function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}
