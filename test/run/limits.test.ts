/** Limits of running envs: what is set is what the kernel enforces. */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RunRoot } from './run-root.ts';

let r: RunRoot;

beforeAll(async () => {
  await RunRoot.prepare();
  r = await RunRoot.create();
  for (const name of ['hog', 'neighbour']) await r.root.create(name, 'tiny');
  await r.root.ok('start', 'neighbour');
});
afterAll(() => r.dispose());

/** Starts the env with nothing but these limits. */
async function hogWith(...limits: string[]): Promise<void> {
  const all = ['limits.cpu=', 'limits.memory=', 'limits.processes=', 'limits.cpu.set='];
  await r.root.ok('stop', '--fast', 'hog');
  await r.root.ok('set', 'hog', ...all, ...limits);
  await r.root.ok('start', 'hog');
}

/** How short the hog is of what it may use. */
const pressure = async () => (await r.root.info('hog')).running!.pressure;

const inHog = (script: string) => r.root.byref('exec', 'hog', '--', 'sh', '-c', script);

test('memory: the hog is killed, the env and its neighbour go on', async () => {
  await hogWith('limits.memory=64MiB');
  const { code } = await inHog('x=$(head -c 300000000 /dev/zero | tr "\\0" a); exit 0');
  expect(code).not.toBe(0);
  expect(await r.exec('hog', 'echo alive')).toBe('alive\n');
  const { memoryLimitHits, memoryKills } = await pressure();
  expect(memoryLimitHits).toBeGreaterThan(0);
  expect(memoryKills).toBeGreaterThan(0);
  const line = /^memory: +.* of 64MiB; .*at its limit \d+ times; [1-9]\d* killed$/m;
  expect(await r.root.ok('info', 'hog')).toMatch(line);
  expect(await r.exec('neighbour', 'echo alive')).toBe('alive\n');
});

test('processes: a fork bomb ends at the limit', async () => {
  await hogWith('limits.processes=20');
  const { stdout } = await inHog(
    'for i in $(seq 60); do sleep 5 2>/dev/null & done 2>/dev/null; ls -d /proc/[0-9]* | wc -l',
  );
  expect(Number(stdout || '0')).toBeLessThanOrEqual(20);
  expect((await pressure()).processLimitHits).toBeGreaterThan(0);
  expect(await r.exec('neighbour', 'echo alive')).toBe('alive\n');
});

test('processor: it gets no more than its part', async () => {
  await hogWith('limits.cpu=0.25');
  // What it used of the time that passed, both as the env sees it.
  const script = `
    used() {
      cat /sys/fs/cgroup/cpuacct/cpuacct.usage 2>/dev/null || sed -n 's/^usage_usec \\(.*\\)/\\1000/p' /sys/fs/cgroup/cpu.stat
    }
    before=$(date +%s%N) first=$(used)
    for i in 1 2 3; do timeout 3 sh -c 'while :; do :; done' & done; wait
    after=$(date +%s%N) last=$(used)
    echo $((last - first)) $((after - before))`;
  const { stdout } = await inHog(script);
  const [used = 0, passed = 1] = stdout.trim().split(' ').map(Number);
  expect(used).toBeGreaterThan(0);
  expect(used / passed).toBeLessThan(0.25 * 1.1);
  const { cpu, cpuThrottledMs } = await pressure();
  expect(cpuThrottledMs).toBeGreaterThan(0);
  // Stalls are counted where the v2 hierarchy is mounted.
  const counted = ['', 'unified/'].some((at) => existsSync(`/sys/fs/cgroup/${at}cpu.pressure`));
  if (counted) expect(cpu!.some60).toBeGreaterThan(0);
  else expect(cpu).toBeNull();
});

test('a limit that is changed counts at once, and after a restart', async () => {
  await hogWith();
  await r.root.ok('set', 'hog', 'limits.processes=7');
  const shown = 'cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max';
  expect(await r.exec('hog', shown)).toBe('7\n');
  await r.root.ok('restart', 'hog');
  expect(await r.exec('hog', shown)).toBe('7\n');
  await r.root.ok('set', 'hog', 'limits.processes=');
  expect(await r.exec('hog', shown)).toBe('max\n');
});
