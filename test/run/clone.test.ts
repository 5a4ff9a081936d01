/** Clones of envs that run. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import type { EnvCloned } from '../../src/services/clone-env.ts';
import type { VolumeInfo } from '../../src/services/env-volumes.ts';
import type { SnapshotTaken } from '../../src/services/take-snapshot.ts';
import { KILL_STEP, runKilledAt } from '../support/damage/failpoints.ts';
import { output, sh } from '../support/machine/program.ts';
import { RunRoot } from './run-root.ts';

const FAILPOINTS_MAX = 60;
const POLL = { timeout: 20_000, interval: 100 };

let r: RunRoot;

beforeAll(() => RunRoot.prepare());
beforeEach(async () => {
  r = await RunRoot.create();
  const bin = r.root.directory('bin');
  const source = new URL('one-moment.c', import.meta.url).pathname;
  const words = ['-O2', '-static', '-Wall', '-Wextra', '-Werror'];
  await output('gcc', [...words, '-o', path.join(bin, 'one-moment'), source]);
  await r.root.ok(
    ...['create', 'web', '--os', 'tiny', '--volume', '/srv/plain', '--volume', '/srv/sized:16MiB'],
    ...['--bind', `${bin}:/opt:ro`],
  );
});
afterEach(() => r.dispose());

/** Starts the env with the program that counts: in its root, a volume, a volume with a size, and its root again. */
async function startCounting(): Promise<void> {
  await r.root.ok('set', 'web', `init=sh -c "exec /opt/one-moment ${FILES.join(' ')}"`);
  await r.root.ok('start', 'web');
  await expect.poll(() => r.exec('web', `tail -n 1 ${FILES[0]}`), POLL).toMatch(/\d{3}/);
}
const FILES = ['/root/first', '/srv/plain/second', '/srv/sized/third', '/root/fourth'] as const;
const COUNTS = `for file in ${FILES[0]} ${FILES[1]}; do tail -n 1 $file; done
  for file in ${FILES[2]} ${FILES[3]}; do od -An -tu8 -N8 $file; done`;

/** The switch of the env's group in the kernel's freezer. */
function freezer(env: number): string {
  const groups = '/sys/fs/cgroup';
  const unified = readdirSync(groups).includes('cgroup.controllers');
  const top = path.join(groups, unified ? '' : 'freezer', 'byref');
  const key = readdirSync(r.root.env['BYREF_RUN']!).find((name) => name.endsWith('.envs'))!;
  const group = path.join(top, key.replace('.envs', ''), `env-${env}`);
  return path.join(group, unified ? 'cgroup.freeze' : 'freezer.state');
}
const words = (): [frozen: string, thawed: string] =>
  readdirSync('/sys/fs/cgroup').includes('cgroup.controllers') ? ['1', '0'] : ['FROZEN', 'THAWED'];

test('a clone of one that writes has all of its files as they were at one moment', async () => {
  await startCounting();
  const clones = await r.root.json<EnvCloned[]>('clone', 'web', 'copy', '--count', '2');
  for (const { frozenMs } of clones) expect(frozenMs).toBeGreaterThan(0);
  // It goes on.
  const before = await r.exec('web', `tail -n 1 ${FILES[0]}`);
  await expect.poll(() => r.exec('web', `tail -n 1 ${FILES[0]}`), POLL).not.toBe(before);
  const seen: string[] = [];
  for (const { name } of clones) {
    for (const { directory } of await r.root.json<VolumeInfo[]>('volume', 'list', name))
      if (directory.endsWith('.img')) await output('e2fsck', ['-fn', directory]);
    await r.root.ok('set', name, 'init=');
    await r.root.ok('start', name);
    const text = await r.exec(name, COUNTS);
    const counts = text.trim().split(/\s+/).map(Number);
    expect(counts).toHaveLength(4);
    expect(counts[3]).toBeGreaterThan(0);
    expect([0, 1], text).toContain(counts[0]! - counts[3]!);
    expect(counts, text).toEqual(counts.toSorted((a, b) => b - a));
    expect(await r.exec(name, 'hostname; cat /etc/hostname')).toBe(`${name}\n${name}\n`);
    expect(await r.exec(name, 'cat /etc/hosts')).not.toContain('web');
    seen.push(text, await r.exec(name, 'cat /etc/machine-id'));
  }
  expect(seen[0]).toBe(seen[2]);
  const own = await r.exec('web', 'cat /etc/machine-id');
  expect(new Set([own, seen[1], seen[3]]).size).toBe(3);
  await r.root.ok('stop', '--all', '--fast');
  expect(await r.root.findings()).toEqual([]);
});

test('an env that runs is taken back, with its volumes, to a snapshot of one moment', async () => {
  await startCounting();
  const { id } = await r.root.info('web');
  for (const name of ['one', 'two']) {
    const taken = await r.root.json<SnapshotTaken>('snapshot', 'web', name);
    expect(taken.frozenMs).toBeGreaterThan(0);
  }
  expect((await r.root.byref('snapshot', 'restore', 'web', 'one')).code).toBe(EXIT.busy);
  await r.exec('web', 'echo later >/srv/plain/later');
  await r.root.ok('snapshot', 'restore', 'web', 'one', '--stop', '--fast');
  await r.root.ok('set', 'web', 'init=');
  for (const { directory } of await r.root.json<VolumeInfo[]>('volume', 'list', 'web')) {
    expect(directory).not.toContain(`/envs/${id}/`);
    if (directory.endsWith('.img')) await output('e2fsck', ['-fn', directory]);
  }
  await r.root.ok('start', 'web');
  const text = await r.exec('web', COUNTS);
  const counts = text.trim().split(/\s+/).map(Number);
  expect([0, 1], text).toContain(counts[0]! - counts[3]!);
  expect(counts, text).toEqual(counts.toSorted((a, b) => b - a));
  expect(await r.exec('web', 'ls /srv/plain; hostname')).toBe('second\nweb\n');
  await r.root.ok('stop', '--all', '--fast');
  expect(await r.root.findings()).toEqual([]);
});

test('killed at any point, there is a whole clone or none, and the env runs on', {
  timeout: 300_000,
}, async () => {
  await startCounting();
  for (let n = 1; n < FAILPOINTS_MAX; n += KILL_STEP) {
    const { code } = await runKilledAt(r.root, `*:${n}`, ['clone', 'web', 'copy']);
    // What stands still would not answer, nor could it write.
    expect(await r.exec('web', 'echo alive >/srv/sized/alive; cat /srv/sized/alive')).toBe(
      'alive\n',
    );
    expect(readFileSync(freezer((await r.root.info('web')).id), 'utf8').trim()).toBe(words()[1]);
    const envs = await r.root.json<EnvSummary[]>('list');
    if (envs.some(({ name }) => name === 'copy')) {
      await r.root.ok('set', 'copy', 'init=');
      await r.root.ok('start', 'copy');
      expect(await r.exec('copy', 'tail -n 1 /root/first')).toMatch(/\d{3}/);
      await r.root.ok('destroy', '--force', 'copy');
    }
    if (code !== 0) continue;
    expect(n).toBeGreaterThan(6);
    return;
  }
  expect.unreachable('it came by more failpoints than expected');
});

test('what is begun in an env that stands still waits until it goes on', async () => {
  await r.root.ok('start', 'web');
  const file = freezer((await r.root.info('web')).id);
  const [frozen, thawed] = words();
  writeFileSync(file, frozen);
  const said = r.exec('web', 'echo there');
  // Long enough for the runtime to refuse it.
  await sh('sleep 0.5', []);
  writeFileSync(file, thawed);
  expect(await said).toBe('there\n');
});

test('one that was left standing still is stopped as any other', async () => {
  await r.root.ok('start', 'web');
  writeFileSync(freezer((await r.root.info('web')).id), words()[0]);
  await r.root.ok('stop', 'web');
  expect(r.leftovers()).toEqual([]);
});
