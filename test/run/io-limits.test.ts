/** Limits of input and output: what a running env reads and writes on the disk. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isUnified } from '../../src/manager/envs/runtime/cgroups.ts';
import { RunRoot } from './run-root.ts';

const MIB = 2 ** 20;
const RATE = 4 * MIB;
const BYTES = 8 * MIB;
const ALL = ['limits.io.read=', 'limits.io.write=', 'limits.io.weight='];

let r: RunRoot;

beforeAll(async () => {
  await RunRoot.prepare();
  r = await RunRoot.create();
  await r.root.create('hog', 'tiny');
  await r.root.ok('volume', 'add', 'hog', '/srv/volume');
  await r.root.ok('set', 'hog', 'limits.io.read=4MiB', 'limits.io.write=4MiB,100000iops');
  await r.root.ok('start', 'hog');
});
afterAll(() => r.dispose());

/** Seconds that a command takes in the env, by its own clock. A limit can only make it longer. */
async function seconds(command: string): Promise<number> {
  const script = `a=$(date +%s%N); ${command} 2>/dev/null || exit 1; b=$(date +%s%N); echo $((b - a))`;
  return Number(await r.exec('hog', script)) / 1e9;
}

const LEAST = (BYTES / RATE) * 0.9;

test.each(['/root', '/srv/volume'])('direct writes and reads in %s are held to it', async (at) => {
  const file = `${at}/file`;
  expect(
    await seconds(`dd if=/dev/zero of=${file} bs=512K count=16 oflag=direct`),
  ).toBeGreaterThanOrEqual(LEAST);
  expect(await seconds(`dd if=${file} of=/dev/null bs=512K iflag=direct`)).toBeGreaterThanOrEqual(
    LEAST,
  );
});

test('so are writes that the program waits for', async () => {
  const write = 'dd if=/dev/zero of=/root/sync bs=512K count=16 oflag=dsync';
  expect(await seconds(write)).toBeGreaterThanOrEqual(LEAST);
});

/** The limits that the kernel has, as the env sees them: "read", "write" to number; none: "". */
async function shown(): Promise<string[]> {
  const script = isUnified()
    ? 'cat /sys/fs/cgroup/io.max'
    : 'cd /sys/fs/cgroup/blkio; cat blkio.throttle.*_device';
  const text = await r.exec('hog', script);
  return [...text.matchAll(/\d+:\d+ (.*)/g)].map(([, limit = '']) => limit);
}

test('they change at once, outlast changes of others, and count after a restart', async () => {
  const text = isUnified() ? ['rbps=3145728 wbps=max riops=max wiops=700'] : ['3145728', '700'];
  await r.root.ok('set', 'hog', 'limits.io.read=3MiB', 'limits.io.write=700iops');
  expect(await shown()).toEqual(text);
  await r.root.ok('set', 'hog', 'limits.processes=100');
  expect(await shown()).toEqual(text);
  await r.root.ok('restart', 'hog');
  expect(await shown()).toEqual(text);
  await r.root.ok('set', 'hog', ...ALL);
  expect(await shown()).toEqual([]);
});

test('what this machine does not enforce is said', async () => {
  const { stderr, code } = await r.root.byref('set', 'hog', 'limits.io.write=5MiB');
  expect(code).toBe(0);
  if (isUnified()) expect(stderr).toBe('');
  else expect(stderr).toContain('left in the page cache');
  const weight = await r.root.json<{ notes: string[] }>('set', 'hog', 'limits.io.weight=300');
  for (const note of weight.notes) expect(note).toMatch(/^limits.io.weight: /);
  expect(
    await r.exec('hog', 'cat /sys/fs/cgroup/{blkio/,}*{bfq,io}.weight 2>/dev/null || :'),
  ).toMatch(/^(?:(?:default )?300\n)*$/);
  await r.root.ok('set', 'hog', ...ALL);
});
