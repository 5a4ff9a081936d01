/** Clones: what another env has of its own, in an env that goes its own way from then on. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import type { EnvCloned } from '../../src/services/clone-env.ts';
import { KILL_STEP, runKilledAt } from '../support/damage/failpoints.ts';
import { COUNTS, expectOneMoment, whileNamesAreMade } from '../support/machine/one-moment.ts';
import { sh } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';

const FAILPOINTS_MAX = 40;

let root: TestRoot;

beforeEach(async () => {
  root = await TestRoot.create();
  const tree = root.directory('tree');
  for (const dir of ['etc/ssh', 'usr/lib', 'home'])
    mkdirSync(path.join(tree, dir), { recursive: true });
  writeFileSync(path.join(tree, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n');
  for (const name of ['one', 'two', 'three']) writeFileSync(path.join(tree, 'usr/lib', name), name);
  await root.import('os', tree, 'os');
  await root.create('first', 'os');
});
afterEach(() => root.dispose());

/** Changes of each kind. */
const CHANGE = `
  cd "$1"
  echo own >usr/lib/one; chmod 600 usr/lib/two; rm usr/lib/three
  mkdir -p home/alice; echo data >home/alice/file; ln home/alice/file home/alice/link
  ln -s file home/alice/symlink; mkfifo home/alice/fifo; chown -R 1000:1000 home/alice
  setfattr -n user.note -v kept home/alice/file; truncate -s 8M home/alice/sparse
  mv usr/lib usr/lib64; mkdir usr/lib`;

/** All that an env shows but for what is each one's own. */
async function shown(env: string): Promise<string> {
  const mountpoint = await root.mount(env);
  const script = `cd "$1"
    find . -path ./etc -prune -o -printf '%p %y %m %U:%G %n %s %T@ %l\\n' | sort
    find . -type f -path './[hu]*' -exec sha256sum {} + | sort; getfattr -R -d home 2>/dev/null`;
  const { code, stdout, stderr } = await sh(script, [mountpoint]);
  expect(code, stderr).toBe(0);
  await root.umount(env);
  return stdout;
}

const inEnv = async (env: string, script: string): Promise<string> => {
  const { code, stdout, stderr } = await sh(script, [await root.mount(env)]);
  expect(code, stderr).toBe(0);
  await root.umount(env);
  return stdout;
};

test('a clone shows what the other one does, and each goes its own way', async () => {
  await inEnv('first', CHANGE);
  const before = await shown('first');
  expect(await root.ok('clone', 'first', 'second')).toBe('cloned second (id 2) from first\n');
  expect(await shown('second')).toBe(before);
  await inEnv('second', 'echo changed >"$1/home/alice/file"; rm "$1/usr/lib64/one"');
  expect(await shown('first')).toBe(before);
  await root.ok('destroy', 'first');
  expect(await inEnv('second', 'cat "$1/home/alice/link"')).toBe('changed\n');
  expect(await root.findings()).toEqual([]);
});

test('it has an identity of its own, and the settings but for ports', async () => {
  const identity = 'cat "$1/etc/hostname" "$1/etc/machine-id"';
  const first = await inEnv('first', identity);
  await root.ok('set', 'first', 'limits.memory=64MiB', 'ports=8080:80');
  const cloned = await root.byref('clone', 'first', 'web', '--count', '2');
  expect(cloned.stderr).toContain('the ports stay with first: 8080:80');
  const all = [first, await inEnv('web1', identity), await inEnv('web2', identity)];
  expect(all.map((text) => text.split('\n')[0])).toEqual(['first', 'web1', 'web2']);
  expect(new Set(all.map((text) => text.split('\n')[1])).size).toBe(3);
  const { settings } = await root.info('web1');
  expect(settings).toEqual({ 'limits.memory': '64MiB' });
});

test('patches reach it as they reach the other one', async () => {
  await inEnv('first', 'echo own >"$1/usr/lib/one"');
  await root.ok('clone', 'first', 'second');
  writeFileSync(path.join(root.base, 'tree/usr/lib/two'), 'patched');
  writeFileSync(path.join(root.base, 'tree/usr/lib/one'), 'patched');
  await root.import('os', path.join(root.base, 'tree'));
  await root.ok('patch', 'os');
  const files = 'cat "$1/usr/lib/two" "$1/usr/lib/one"';
  expect(await inEnv('second', files)).toBe('patchedown\n');
  await root.ok('rollback', 'os');
  expect(await inEnv('second', files)).toBe('twoown\n');
});

test('one whose driver died is cloned with all that it had answered', async () => {
  const mountpoint = await root.mount('first');
  await sh('echo answered >"$1/home/file"', [mountpoint]);
  const { driverPid } = await root.info('first');
  process.kill(driverPid!, 'SIGKILL');
  await expect.poll(async () => (await root.info('first')).state, { timeout: 10_000 }).toBe('dead');
  await root.umount('first');
  await root.ok('clone', 'first', 'second');
  expect(await inEnv('second', 'cat "$1/home/file"')).toBe('answered\n');
  expect(await inEnv('first', 'cat "$1/home/file"')).toBe('answered\n');
  expect(await root.findings()).toEqual([]);
});

test('one that was never mounted has nothing to copy', async () => {
  await root.ok('clone', 'first', 'second');
  expect(await inEnv('second', 'cat "$1/etc/hostname" "$1/usr/lib/one"')).toBe('second\none');
});

test('one that is mounted is cloned with all that it has, and goes on', async () => {
  const mountpoint = await root.mount('first');
  expect(await sh(CHANGE, [mountpoint])).toMatchObject({ code: 0 });
  const clones = await root.json<EnvCloned[]>('clone', 'first', 'copy', '--count', '2');
  expect(clones.map(({ name }) => name)).toEqual(['copy1', 'copy2']);
  for (const { frozenMs } of clones) expect(frozenMs).toBeGreaterThan(0);
  expect(await sh('echo more >>"$1/home/alice/file"', [mountpoint])).toMatchObject({ code: 0 });
  await root.umount('first');
  expect(await inEnv('first', 'cat "$1/home/alice/file"')).toBe('data\nmore\n');
  await inEnv(
    'first',
    'truncate -s 5 "$1/home/alice/file"; touch -r "$1/usr/lib64" "$1/home/alice/file"',
  );
  const same = (text: string): string =>
    text.replaceAll(/^(\S+\/(?:file|link)(?: \S+){4}) \S+ .*$/gm, '$1');
  const before = same(await shown('first'));
  for (const { name } of clones) expect(same(await shown(name))).toBe(before);
  expect(await root.findings()).toEqual([]);
});

test('names are of one moment in the clones of an env in which a program makes them', async () => {
  const mountpoint = await root.mount('first');
  await whileNamesAreMade(root, mountpoint, async () => {
    for (const name of ['one', 'two', 'three']) await root.ok('clone', 'first', name);
  });
  for (const name of ['one', 'two', 'three']) expectOneMoment(await inEnv(name, COUNTS));
  expect(await root.findings()).toEqual([]);
});

test('what has that name, or lost its driver, is refused, and nothing is made', async () => {
  await root.mount('first');
  const { driverPid } = await root.info('first');
  process.kill(driverPid!, 'SIGKILL');
  await expect.poll(async () => (await root.info('first')).state, { timeout: 10_000 }).toBe('dead');
  expect(await root.byref('clone', 'first', 'second')).toMatchObject({ code: EXIT.busy });
  await root.umount('first');
  expect(await root.byref('clone', 'first', 'first')).toMatchObject({ code: EXIT.exists });
  expect(await root.byref('clone', 'nobody', 'second')).toMatchObject({ code: EXIT.notFound });
  expect(await root.json<EnvSummary[]>('list')).toHaveLength(1);
  expect(await root.findings()).toEqual([]);
});

test.each([
  ['stopped', 2],
  ['mounted', 6],
])(
  'killed at any point, there is a whole clone of a %s env or none, and that goes on',
  { timeout: 300_000 },
  async (state, least) => {
    await inEnv('first', CHANGE);
    const before = await shown('first');
    const mountpoint = state === 'mounted' ? await root.mount('first') : null;
    for (let n = 1; n < FAILPOINTS_MAX; n += KILL_STEP) {
      const { code } = await runKilledAt(root, `*:${n}`, ['clone', 'first', 'second']);
      // A request that is held would wait for good.
      if (mountpoint !== null)
        expect(await sh('timeout 20 touch "$1/etc/alive"', [mountpoint])).toMatchObject({
          code: 0,
        });
      const names = (await root.json<EnvSummary[]>('list')).map(({ name }) => name);
      if (names.includes('second')) {
        expect(await shown('second')).toBe(before);
        await root.ok('destroy', 'second');
      }
      // What was begun is no part of the next env.
      await root.create('next', 'os');
      expect(await inEnv('next', 'cat "$1/usr/lib/one"')).toBe('one');
      await root.ok('destroy', 'next');
      expect(await root.findings()).toEqual([]);
      if (code !== 0) continue;
      expect(n).toBeGreaterThan(least);
      return;
    }
    expect.unreachable('it came by more failpoints than expected');
  },
);
