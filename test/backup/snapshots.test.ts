/** Snapshots: what an env was at a moment, kept beside it, and to be gone back to. */
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { SnapshotDifference } from '../../src/services/diff-snapshots.ts';
import type { SnapshotInfo } from '../../src/services/list-snapshots.ts';
import type { SnapshotRestored } from '../../src/services/restore-snapshot.ts';
import type { SnapshotTaken } from '../../src/services/take-snapshot.ts';
import { TestDaemon } from '../daemon/daemon-root.ts';
import { KILL_STEP, runKilledAt } from '../support/damage/failpoints.ts';
import { COUNTS, expectOneMoment, whileNamesAreMade } from '../support/machine/one-moment.ts';
import { sh } from '../support/machine/program.ts';
import type { TestRoot } from '../support/machine/root.ts';
import { SmallDisk } from '../support/machine/small-disk.ts';
import { CHANGE, changeableRoot, inEnv, shown, treeOf } from './changed-env.ts';

const FAILPOINTS_MAX = 40;
const MIB = 2 ** 20;
/** Files are known again that have not been changed for a second when a snapshot is taken. */
const TICK_MS = 1100;

let root: TestRoot;

beforeEach(async () => {
  root = await changeableRoot();
});
afterEach(() => root.dispose());

const names = async (env = 'first'): Promise<string[]> =>
  (await root.json<SnapshotInfo[]>('snapshot', 'list', env)).map(({ snapshot }) => snapshot);

/** The directories of envs, and of what envs and snapshots have left. */
const directories = (): string[] => readdirSync(path.join(root.path, 'envs')).sort();

async function patch(...options: string[]): Promise<void> {
  for (const name of ['one', 'two'])
    writeFileSync(path.join(treeOf(root), 'usr/lib', name), 'patched');
  await root.import('os', treeOf(root));
  await root.ok('patch', 'os', ...options);
}

test('an env is taken back to a snapshot, with its settings and identity', async () => {
  await inEnv(root, 'first', CHANGE);
  await root.ok('set', 'first', 'limits.memory=64MiB', 'ports=8080:80');
  const before = await shown(root, 'first');
  const identity = 'cat "$1/etc/hostname" "$1/etc/machine-id"';
  const own = await inEnv(root, 'first', identity);
  const taken = await root.json<SnapshotTaken>('snapshot', 'first', 'monday');
  expect(taken).toMatchObject({
    ...{ name: 'first', snapshot: 'monday', stack: ['os@1'], privateFiles: 8, frozenMs: null },
  });
  await inEnv(root, 'first', 'cd "$1"; rm -r home/alice usr/lib64; echo new >new; chmod 700 home');
  await root.ok('set', 'first', 'limits.memory=', 'ports=9090:80');
  const { id, privateBytes } = await root.info('first');
  const { changes, templates } = await root.json<SnapshotDifference>(
    ...['snapshot', 'diff', 'first', 'monday'],
  );
  expect(templates).toEqual([]);
  expect(changes.map(({ kind, path: at }) => `${kind} ${at}`)).toEqual(
    expect.arrayContaining([
      'C /home',
      'D /home/alice',
      'D /home/alice/link',
      'A /new',
      'D /usr/lib64',
    ]),
  );
  expect(changes.find(({ path: at }) => at === '/home')).toMatchObject({ attributes: ['mode'] });
  // Its own usage does not count the snapshot's.
  expect(privateBytes).toBeLessThan(taken.privateBytes);
  const restored = await root.json<SnapshotRestored>('snapshot', 'restore', 'first', 'monday');
  expect(restored).toMatchObject({ name: 'first', snapshot: 'monday', snapshots: ['monday'] });
  expect(restored.id).not.toBe(id);
  expect(await shown(root, 'first')).toBe(before);
  expect(await inEnv(root, 'first', identity)).toBe(own);
  expect((await root.info('first')).settings).toEqual({
    ...{ 'limits.memory': '64MiB', ports: '9090:80' },
  });
  await root.ok('rename', 'first', 'second');
  expect(await names('second')).toEqual(['monday']);
  await root.create('third', 'os');
  expect(await root.ok('list', '-H', '-o', 'name,snapshots')).toBe('second\t1\nthird\t-\n');
  await root.ok('destroy', 'third');
  expect(await root.findings()).toEqual([]);
  await root.ok('destroy', 'second');
  expect(directories()).toEqual([]);
});

test('what differs is found by whatever way it came, and nothing else', async () => {
  await inEnv(root, 'first', CHANGE);
  const mountpoint = await root.mount('first');
  await root.ok('snapshot', 'first', 'one');
  const diff = async (...words: string[]): Promise<string> =>
    root.ok('snapshot', 'diff', 'first', ...words);
  expect(await diff('one')).toBe('');
  const change = `cd "$1"; printf 'tada\n' >home/alice/file; touch -d @1 home/linked; rm usr/lib64/one
    mkdir usr/lib64/three; setfattr -n user.note -v 1 home/alice; cat etc/passwd >etc/other
    cp -a usr/lib64/two same; mv same usr/lib64/two`;
  expect(await sh(change, [mountpoint])).toMatchObject({ code: 0 });
  const found = [
    'A /etc/other',
    'C /home/alice (attributes only: user.note)',
    'C /home/alice/file',
    'C /home/alice/link',
    'C /home/linked (attributes only: mtime)',
    'C /usr/lib64/four (attributes only: mtime)',
    'D /usr/lib64/one',
    'A /usr/lib64/three',
  ];
  expect((await diff('one')).trimEnd().split('\n')).toEqual(found);
  await root.ok('snapshot', 'first', 'two');
  expect((await diff('one', 'two')).trimEnd().split('\n')).toEqual(found);
  expect(await diff('two')).toBe('');
});

test('a mounted env is kept as of one moment, and taken back only when it is stopped', async () => {
  const mountpoint = await root.mount('first');
  await whileNamesAreMade(root, mountpoint, async () => {
    for (const name of ['one', 'two']) {
      const { frozenMs } = await root.json<SnapshotTaken>('snapshot', 'first', name);
      expect(frozenMs).toBeGreaterThan(0);
    }
  });
  expect(await root.byref('snapshot', 'restore', 'first', 'one')).toMatchObject({
    code: EXIT.busy,
    stderr: expect.stringContaining('--stop stops it') as string,
  });
  // The program that made names may not have ended yet.
  await expect
    .poll(() => root.byref('snapshot', 'restore', 'first', 'two', '--stop'), { timeout: 20_000 })
    .toMatchObject({ code: 0 });
  expectOneMoment(await inEnv(root, 'first', COUNTS));
  await root.ok('snapshot', 'restore', 'first', 'one');
  expectOneMoment(await inEnv(root, 'first', COUNTS));
  expect(await root.findings()).toEqual([]);
});

test('snapshots of an env share what did not change between them, until the last one goes', async () => {
  await inEnv(
    root,
    'first',
    'cd "$1/home"; for i in 1 2 3 4; do head -c 200000 /dev/urandom >$i; done',
  );
  await sleep(TICK_MS);
  const [one, two] = ['one', 'two'] as const;
  expect(await root.json('snapshot', 'first', one)).toMatchObject({ sharedFiles: 0 });
  await inEnv(root, 'first', 'cd "$1/home"; echo more >>1; mv 2 moved');
  const before = await shown(root, 'first');
  const { sharedFiles, privateFiles } = await root.json<SnapshotTaken>('snapshot', 'first', two);
  expect(sharedFiles).toBeGreaterThanOrEqual(3);
  expect(sharedFiles).toBeLessThan(privateFiles);
  // Two snapshots have them, and the env has its own.
  const links = directories().flatMap((id) => {
    const dir = path.join(root.path, 'envs', id, 'private');
    return existsSync(dir)
      ? readdirSync(dir).map((name) => statSync(path.join(dir, name)).nlink)
      : [];
  });
  expect(links.filter((count) => count === 2)).toHaveLength(2 * sharedFiles);
  await root.ok('snapshot', 'rm', 'first', one);
  await inEnv(root, 'first', 'cd "$1/home"; for i in *; do echo gone >$i; done');
  await root.ok('snapshot', 'restore', 'first', two);
  expect(await shown(root, 'first')).toBe(before);
  // What is written now is written to the env alone.
  await inEnv(root, 'first', 'cd "$1/home"; for i in *; do echo gone >$i; done');
  await root.ok('snapshot', 'restore', 'first', two);
  expect(await shown(root, 'first')).toBe(before);
  expect(await root.findings()).toEqual([]);
});

test('the versions that a snapshot saw stay, and are what it brings back', async () => {
  await inEnv(
    root,
    'first',
    'cd "$1"; echo own >usr/lib/one; chmod 600 usr/lib/two; mv usr/lib/three home',
  );
  const before = await shown(root, 'first');
  await root.ok('snapshot', 'first', 'old');
  await patch();
  const look = 'cat "$1/usr/lib/one" "$1/usr/lib/two"; stat -c %a "$1/usr/lib/two"';
  expect(await inEnv(root, 'first', look)).toBe('own\npatched600\n');
  const { kept } = await root.json<{ kept: { version: number; by: string }[] }>(
    ...['gc', '--keep', '0'],
  );
  expect(kept).toMatchObject([{ version: 1, by: 'first@old' }]);
  expect((await root.byref('template', 'rm', 'os@1')).code).not.toBe(0);
  const { templates } = await root.json<SnapshotDifference>('snapshot', 'diff', 'first', 'old');
  expect(templates).toEqual([{ from: 'os@1', to: 'os@2' }]);
  const { stderr } = await root.byref('snapshot', 'restore', 'first', 'old');
  expect(stderr).toContain('it is pinned to os@1, which it saw');
  expect(await shown(root, 'first')).toBe(before);
  await root.ok('snapshot', 'rm', 'first', 'old');
  expect(await inEnv(root, 'first', look)).toBe('own\ntwo600\n');
  await root.ok('follow', 'first', 'os');
  expect(await inEnv(root, 'first', look)).toBe('own\npatched600\n');
  // Of the version as it is now, it follows.
  await root.ok('snapshot', 'first', 'new');
  await root.ok('snapshot', 'restore', 'first', 'new');
  expect((await root.info('first')).stack).toMatchObject([{ version: 2, pinned: false }]);
  await root.ok('rollback', 'os');
  expect(await inEnv(root, 'first', look)).toBe('own\ntwo600\n');
  expect(await root.findings()).toEqual([]);
});

test('files that a patch set aside before are set aside again', async () => {
  await inEnv(root, 'first', 'echo own >"$1/usr/lib/one"');
  await patch('--take', '/usr/lib/one');
  expect(await inEnv(root, 'first', 'cat "$1/usr/lib/one"')).toBe('patched');
  await root.ok('snapshot', 'first', 'after');
  await root.ok('rollback', 'os');
  await root.ok('snapshot', 'restore', 'first', 'after');
  expect(await inEnv(root, 'first', 'cat "$1/usr/lib/one"')).toBe('patched');
  await root.ok('follow', 'first', 'os');
  expect(await inEnv(root, 'first', 'cat "$1/usr/lib/one"')).toBe('own\n');
  expect(await root.findings()).toEqual([]);
});

test('one of an env that was never mounted brings back that', async () => {
  await root.ok('snapshot', 'first', 'new');
  const identity = 'cat "$1/etc/hostname" "$1/etc/machine-id"';
  const own = await inEnv(root, 'first', `${identity}; : >"$1/home/file"`);
  await root.ok('snapshot', 'restore', 'first', 'new');
  const next = await inEnv(root, 'first', `${identity}; ls "$1/home"`);
  expect(next).toMatch(/^first\n[0-9a-f]{32}\n$/);
  expect(next).not.toBe(own);
});

test('what is no snapshot, or no name of one, is refused', async () => {
  const refused = async (code: number, ...words: string[]): Promise<void> => {
    const { code: seen, stderr } = await root.byref('snapshot', ...words);
    expect([seen, stderr]).toEqual([code, expect.stringMatching(/^byref: .*\n.+/)]);
  };
  expect(await root.ok('snapshot', 'first')).toMatch(/^\d{8}-\d{6}: /);
  await root.ok('snapshot', 'first', 'one');
  await refused(EXIT.exists, 'first', 'one');
  for (const name of ['', 'a/b', '..', '7', 'x'.repeat(64), 'a@b'])
    await refused(EXIT.usage, 'first', name);
  await refused(EXIT.notFound, 'nobody');
  for (const verb of ['restore', 'rm', 'diff']) await refused(EXIT.notFound, verb, 'first', 'two');
  await refused(EXIT.notFound, 'diff', 'first', 'one', 'two');
  // Its row is that of an env, which no command takes for one.
  for (const name of ['2', '3', '1@one'])
    for (const words of [
      ['mount', name],
      ['destroy', name],
      ['clone', name, 'other'],
      ['info', name],
    ])
      expect(await root.byref(...words)).toMatchObject({ code: EXIT.notFound });
  expect(await root.byref('create', '1@two', '--os', 'os')).toMatchObject({ code: EXIT.usage });
  expect(await names()).toHaveLength(2);
});

test('a daemon is asked for them', async () => {
  const daemon = new TestDaemon(root);
  await daemon.start();
  try {
    const at = '/v1/envs/first/snapshots';
    expect(await daemon.done('POST', at, { name: 'one' })).toMatchObject({
      ...{ state: 'done', result: { snapshot: 'one' } },
    });
    expect(await daemon.json('GET', at)).toMatchObject([{ name: 'first', snapshot: 'one' }]);
    expect(await daemon.json('GET', `${at}/one/diff`)).toMatchObject({ changes: [] });
    expect(await daemon.done('POST', `${at}/one/restore`, {})).toMatchObject({ state: 'done' });
    expect(await daemon.done('DELETE', `${at}/one`)).toMatchObject({ state: 'done' });
    expect(await daemon.json('GET', at)).toEqual([]);
  } finally {
    await daemon.kill('SIGTERM');
  }
});

test.each(['take', 'restore', 'remove', 'destroy'])(
  'killed at any point of %s, env and snapshots are whole or not there',
  { timeout: 300_000 },
  async (what) => {
    await inEnv(root, 'first', CHANGE);
    const before = await shown(root, 'first');
    await sleep(TICK_MS);
    await root.ok('snapshot', 'first', 'kept');
    const words: Record<string, string[]> = {
      take: ['snapshot', 'first', 'next'],
      restore: ['snapshot', 'restore', 'first', 'kept'],
      remove: ['snapshot', 'rm', 'first', 'next'],
      destroy: ['destroy', 'first'],
    };
    for (let n = 1; n < FAILPOINTS_MAX; n += KILL_STEP) {
      if (what === 'remove' && !(await names()).includes('next'))
        await root.ok('snapshot', 'first', 'next');
      if (what === 'restore') await inEnv(root, 'first', 'rm -r "$1/home/alice"');
      const { code } = await runKilledAt(root, `*:${n}`, words[what]!);
      if (what === 'destroy' && (await root.ok('list', '-q')) === '') {
        await root.ok('gc');
        expect(directories()).toEqual([]);
        expect(await root.findings()).toEqual([]);
        return;
      }
      expect(await names()).toContain('kept');
      if (what === 'take' && (await names()).includes('next')) {
        await root.ok('snapshot', 'restore', 'first', 'next');
        expect(await shown(root, 'first')).toBe(before);
        await root.ok('snapshot', 'rm', 'first', 'next');
      }
      await root.ok('snapshot', 'restore', 'first', 'kept');
      expect(await shown(root, 'first')).toBe(before);
      expect((await root.findings()).filter(({ severity }) => severity !== 'leftover')).toEqual([]);
      await root.ok('gc');
      expect(await root.findings()).toEqual([]);
      if (code === 0) return;
    }
    expect.unreachable('it came by more failpoints than expected');
  },
);

test('on a full disk nothing is made, and what there was is whole', {
  timeout: 120_000,
}, async () => {
  const disk = new SmallDisk(64 * MIB);
  try {
    const small = await changeableRoot(disk.place);
    try {
      await inEnv(small, 'first', `${CHANGE}; head -c 3000000 /dev/urandom >home/large`);
      await sleep(TICK_MS);
      await small.ok('snapshot', 'first', 'kept');
      const bytes = 'cd "$1"; find . -type f -path "./[hu]*" -exec sha256sum {} + | sort';
      const before = await inEnv(small, 'first', bytes);
      await inEnv(small, 'first', 'echo more >>"$1/home/large"');
      disk.fill(MIB);
      expect(await small.byref('snapshot', 'first', 'next')).toMatchObject({ code: EXIT.noSpace });
      expect(await small.byref('snapshot', 'restore', 'first', 'kept')).toMatchObject({
        code: EXIT.noSpace,
      });
      disk.empty();
      expect(await small.ok('snapshot', 'list', 'first', '-H', '-o', 'snapshot')).toBe('kept\n');
      expect(await small.findings()).toEqual([]);
      await small.ok('snapshot', 'restore', 'first', 'kept');
      expect(await inEnv(small, 'first', bytes)).toBe(before);
    } finally {
      await small.dispose();
    }
  } finally {
    disk.dispose();
  }
});
