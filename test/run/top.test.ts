/** What running envs do, as `byref top` shows it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { activityBetween, type EnvActivity, type Looks } from '../../src/services/env-activity.ts';
import { BYREF, run } from '../support/machine/program.ts';
import { RunRoot } from './run-root.ts';

let r: RunRoot;

beforeAll(async () => {
  await RunRoot.prepare();
  r = await RunRoot.create();
  for (const name of ['busy', 'idle', 'stopped']) await r.root.create(name, 'tiny');
  await r.root.ok('start', 'busy', 'idle');
});
afterAll(() => r.dispose());

const top = (...words: string[]): Promise<EnvActivity[]> =>
  r.root.json<EnvActivity[]>('top', '--interval', '500ms', ...words);

test('who works is told from who does not', async () => {
  const hog = r.root.background(
    '"$1" exec busy -- timeout 60 sh -c "while :; do dd if=/dev/zero of=/root/f bs=64k count=1 oflag=direct; done"',
    BYREF,
  );
  const written = async () => (await top('busy'))[0]?.writtenBytesPerSecond ?? 0;
  await expect.poll(written, { timeout: 30_000 }).toBeGreaterThan(0);
  const [first, second, ...more] = await top();
  expect(more).toEqual([]);
  expect([first!.name, second!.name]).toEqual(['busy', 'idle']);
  expect(first!.cpuPercent).toBeGreaterThan(0);
  expect(first!.writtenBytesPerSecond).toBeGreaterThan(0);
  expect(first!.processes).toBeGreaterThan(second!.processes!);
  expect(second).toMatchObject({ cpuPercent: 0, readBytesPerSecond: 0, writtenBytesPerSecond: 0 });
  expect(first!.memoryBytes).toBeGreaterThan(0);
  expect((await top('idle')).map(({ name }) => name)).toEqual(['idle']);
  process.kill(-hog.pid!, 'SIGKILL');
});

test('without a terminal it is one table, on one it is drawn again', async () => {
  const once = await r.root.ok('top', '--interval', '100ms', '-o', 'name,cpu,cpu-wait');
  expect(once).toMatch(/^NAME\tCPU\tCPU-WAIT\n\w+\t[\d.]+\t\S+\n\w+\t[\d.]+\t\S+\n$/);
  const drawn = ['-qec', `timeout 3 ${BYREF} top --interval 200ms`, '/dev/null'];
  const { stdout } = await run('script', drawn, { env: r.root.env });
  expect(stdout.split('\x1b[H\x1b[J').length).toBeGreaterThan(2);
  const single = ['-qec', `${BYREF} top --once --interval 100ms`, '/dev/null'];
  expect((await run('script', single, { env: r.root.env })).stdout).not.toContain('\x1b');
});

test('an env that does not run is no place to look', async () => {
  expect(await r.root.byref('top', 'stopped')).toMatchObject({ code: EXIT.usage });
  expect(await r.root.byref('top', 'nobody')).toMatchObject({ code: EXIT.notFound });
});

test('an env that was started again between two looks is left out', () => {
  const look = (firstPid: number): Looks =>
    new Map([
      [1, { name: 'a', firstPid, usage: USAGE, pressure: PRESSURE, atMs: firstPid * 1000 }],
    ]);
  expect(activityBetween(look(1), look(2))).toEqual([]);
  expect(activityBetween(new Map(), look(2))).toEqual([]);
});

const USAGE = { memoryBytes: 1, cpuMs: 1, processes: 1, readBytes: null, writtenBytes: 1 };
const PRESSURE = {
  ...{ cpu: null, memory: null, io: null },
  ...{ cpuThrottledMs: 0, memoryLimitHits: 0, memoryKills: 0, processLimitHits: 0 },
};
