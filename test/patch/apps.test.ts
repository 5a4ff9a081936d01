import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { PatchRecord } from '../../src/codec/patch-record.ts';
import type { StaleFile } from '../../src/manager/rollout/stale.ts';
import { KILL_STEP, runKilledAt } from '../support/damage/failpoints.ts';
import { PatchRoot } from '../support/machine/patch-root.ts';

/** Apps come to an env and go, while programs use it. */
let t: PatchRoot;

const PASSWD = 'root:x:0:0::/root:/bin/sh\n';
const FAILPOINTS_MAX = 40;

beforeEach(async () => {
  t = await PatchRoot.create();
  await t.version({ 'usr/os': 'os', 'etc/passwd': PASSWD, 'etc/conf': 'os' });
  await t.version({ 'usr/a': 'a', 'etc/a/conf': 'a', 'usr/both': 'a' }, 'a', '--kind', 'app');
  await t.version(
    { 'usr/b': 'b', 'usr/both': 'b', 'etc/passwd': `${PASSWD}b:x:400:400::/:/bin/false\n` },
    'b',
    '--kind',
    'app',
  );
});
afterEach(() => t.dispose());

const change = (what: 'add' | 'remove', ...apps: string[]): Promise<PatchRecord> =>
  t.root.json<PatchRecord>('app', what, 'e', ...apps);
const apps = async (): Promise<string> => (await t.root.ok('list', '-H', '-o', 'apps')).trim();
const ALL = 'cat usr/os usr/a usr/b usr/both etc/a/conf 2>/dev/null | tr -d "\\n"; ls usr | wc -l';

test.each([['mounted'], ['unmounted']])(
  'apps are added to a %s env in one step, and removed',
  async (place) => {
    await t.envs('e');
    if (place === 'unmounted') await t.root.umount('e');
    const look = async (): Promise<string> => {
      if (place === 'unmounted') await t.root.mount('e');
      const seen = await t.out('e', ALL);
      if (place === 'unmounted') await t.root.umount('e');
      return seen;
    };
    const added = await change('add', 'a', 'b');
    expect(added).toMatchObject({ kind: 'add', template: 'a, b', from: 0, to: 1, state: 'done' });
    expect(await look()).toBe('osabba4\n');
    expect(await apps()).toBe('a,b');
    // What is there already is no error, and nothing.
    expect(await t.root.ok('app', 'add', 'e', 'a')).toBe('e: nothing to do\n');
    expect(await change('remove', 'b')).toMatchObject({ kind: 'remove', from: 1, to: 0 });
    expect(await look()).toBe('osaaa3\n');
    await change('remove', 'a');
    expect(await look()).toBe('os1\n');
    const kinds = (await t.root.json<PatchRecord[]>('history', 'e')).map(({ kind }) => kind);
    expect(kinds).toEqual(['remove', 'remove', 'add']);
    expect(await t.root.findings()).toEqual([]);
  },
);

test('the env’s own stays: data in an app’s directory, changed files, accounts', async () => {
  await t.envs('e');
  await t.in('e', 'echo alice:x:1000:1000::/:/bin/sh >>etc/passwd');
  await change('add', 'a', 'b');
  expect(await t.out('e', 'cut -d: -f1 etc/passwd | sort | paste -sd" "')).toBe('alice b root\n');
  await t.in('e', 'chmod 750 etc/a; echo data >etc/a/data; echo mine >usr/b; mv usr/a usr/moved');
  await change('remove', 'a', 'b');
  expect(await t.out('e', 'cut -d: -f1 etc/passwd | sort | paste -sd" "')).toBe('alice root\n');
  expect(await t.out('e', 'cat etc/a/data usr/b usr/moved; stat -c %a etc/a; ls etc/a usr')).toBe(
    'data\nmine\na750\netc/a:\ndata\n\nusr:\nb\nmoved\nos\n',
  );
  await t.root.umount('e');
  await t.root.mount('e');
  expect(await t.out('e', 'cat etc/a/data usr/b usr/moved; stat -c %a etc/a')).toBe(
    'data\nmine\na750\n',
  );
  await change('add', 'a', 'b');
  expect(await t.out('e', 'cat etc/a/conf etc/a/data usr/b')).toBe('adata\nmine\n');
  expect(await t.root.findings()).toEqual([]);
});

test('a record that the env has otherwise stays, and is said', async () => {
  await t.envs('e');
  await t.in('e', 'echo b:x:7:7::/:/bin/sh >>etc/passwd');
  const { envs } = await change('add', 'b');
  expect(envs[0]?.acts).toMatchObject([
    { what: 'conflict', path: '/etc/passwd', why: 'both changed user b; that of the env stays' },
  ]);
  expect(await t.out('e', 'grep ^b: etc/passwd')).toBe('b:x:7:7::/:/bin/sh\n');
});

test('readers of the env find what is there before and after, all the time', async () => {
  await t.envs('e');
  await change('add', 'a');
  const reader = t.root.background(
    'cd "$1"; while :; do [ "$(cat usr/os)" = os ] && [ "$(cat usr/a)" = a ] || { echo bad >"$2"; exit; }; x=$(cat usr/both); case $x in a|b) ;; *) echo "$x" >"$2"; exit ;; esac; done',
    t.mount('e'),
    `${t.root.base}/bad`,
  );
  for (let i = 0; i < 15; i++) {
    await change('add', 'b');
    await change('remove', 'b');
  }
  expect(reader.exitCode).toBeNull();
});

test('a program of an app that is removed runs on, and stale says so', async () => {
  await t.version({ 'usr/run': '#!/bin/sh\n' }, 'p', '--kind', 'app');
  await t.envs('e');
  await change('add', 'p');
  t.root.background(
    'exec 9<"$1/usr/run"; touch "$2"; sleep 1000',
    t.mount('e'),
    `${t.root.base}/open`,
  );
  await expect
    .poll(() => t.in('e', `test -e ${t.root.base}/open`).then(({ code }) => code))
    .toBe(0);
  await change('remove', 'p');
  const [file] = await t.root.json<StaleFile[]>('stale', 'e');
  expect(file).toMatchObject({ path: '/usr/run', template: 'p', version: 1, current: null });
});

test('a patch of an app reaches the envs that have it; one that is pinned stays', async () => {
  await t.envs('e', 'f');
  await change('add', 'a');
  await t.root.ok('app', 'add', 'f', 'a@1');
  await t.version({ 'usr/a': 'A' }, 'a', '--kind', 'app');
  await t.root.ok('patch', 'a');
  expect(await t.out('e', 'cat usr/a')).toBe('A');
  expect(await t.out('f', 'cat usr/a')).toBe('a');
});

test.each([
  [['add', 'e', 'nobody'], EXIT.notFound, 'there is no template "nobody"'],
  [['add', 'e', 't'], EXIT.usage, 't is an OS template'],
  [['add', 'nobody', 'a'], EXIT.notFound, 'there is no env "nobody"'],
  [['add', 'e', 'a@1', 'x@2'], EXIT.notFound, 'there is no template "x"'],
  [['remove', 'e', 'b'], EXIT.notFound, 'e has no app b'],
  [['remove', 'e', 't'], EXIT.usage, 't is the OS template of e'],
  [['add', 'e'], EXIT.usage, 'missing required argument'],
])('app %j is refused', async (words, code, message) => {
  await t.envs('e');
  const refused = await t.root.byref('app', ...words);
  expect(refused.code).toBe(code);
  expect(refused.stderr).toContain(message);
  expect(await t.root.json('history')).toEqual([]);
});

test('one that is killed at any point is finished, or was never begun', async () => {
  await t.envs('e');
  await t.in('e', 'echo alice:x:1000:1000::/:/bin/sh >>etc/passwd');
  const look = async (): Promise<string> =>
    `${await apps()} ${await t.out('e', 'cat usr/b 2>/dev/null || true; cut -d: -f1 etc/passwd | sort | paste -sd" "')}`;
  const WITHOUT = ' alice root\n';
  const WITH = 'b balice b root\n';
  let finished = 0;
  for (let n = 1; n < FAILPOINTS_MAX; n += KILL_STEP) {
    const { code } = await runKilledAt(t.root, `*:${n}`, ['app', 'add', 'e', 'b']);
    const state = (await look()).replace(/^- /, ' ');
    expect([WITHOUT, WITH], `${n}: ${state}`).toContain(state);
    if (code === 0) {
      expect(finished).toBeGreaterThan(1);
      return;
    }
    if (state !== WITH) continue;
    finished++;
    await change('remove', 'b');
  }
  expect.unreachable('it came by more failpoints than expected');
}, 300_000);
