import { existsSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { PatchRecord } from '../../src/codec/patch-record.ts';
import type { VersionLog } from '../../src/manager/rollout/log.ts';
import { PatchRoot } from '../support/machine/patch-root.ts';

let t: PatchRoot;

beforeEach(async () => {
  t = await PatchRoot.create();
  await t.version({ 'usr/lib/a': 'one', 'usr/lib/gone': 'x', 'etc/conf': 'a\nb\nc\nd\ne\n' });
});
afterEach(() => t.dispose());

const SECOND = { 'usr/lib/a': 'two', 'usr/lib/new': 'n', 'etc/conf': 'a\nb\nc\nd\nE\n' };

describe('a patch', () => {
  test('reaches mounted envs without a remount, others when they are mounted, and pinned ones not', async () => {
    await t.envs('live', 'pinned');
    await t.root.create('later', 't');
    await t.root.ok('pin', 'pinned', 't@1');
    await t.version(SECOND, 't', '--label', 'v2', '--note', 'why');
    expect(await t.out('live', 'cat usr/lib/a; ls usr/lib')).toBe('onea\ngone\n');
    const record = await t.patch();
    expect(record).toMatchObject({ kind: 'patch', from: 1, to: 2, state: 'done', all: true });
    expect(record.envs.map(({ name, outcome }) => `${name} ${outcome}`)).toEqual([
      'live flipped',
      'later stopped',
    ]);
    expect(await t.out('live', 'cat usr/lib/a; ls usr/lib')).toBe('twoa\nnew\n');
    expect(await t.out('pinned', 'cat usr/lib/a; ls usr/lib')).toBe('onea\ngone\n');
    await t.root.mount('later');
    expect(await t.out('later', 'cat usr/lib/a; ls usr/lib')).toBe('twoa\nnew\n');

    expect(await t.rollback()).toMatchObject({ kind: 'rollback', from: 2, to: 1 });
    for (const env of ['live', 'later', 'pinned']) {
      expect(await t.out(env, 'cat usr/lib/a; ls usr/lib')).toBe('onea\ngone\n');
    }
  });

  test('takes the newest staged version, and has nothing to do without one', async () => {
    await t.envs('e');
    expect((await t.root.byref('patch', 't')).stdout).toBe(
      't: nothing to do: 1 is current, and nothing newer is staged\n',
    );
    await t.version(SECOND);
    await t.version({ 'usr/lib/a': 'three' });
    expect(await t.patch()).toMatchObject({ from: 1, to: 3 });
    expect(await t.out('e', 'cat usr/lib/a')).toBe('three');
    expect(await t.patch()).toBeNull();
    expect(await t.rollback()).toMatchObject({ to: 1 });
  });

  test('and rollbacks take the way back step by step', async () => {
    await t.version(SECOND);
    await t.version({ 'usr/lib/a': 'three' });
    await t.patch('--to', '2');
    await t.patch('--to', '3');
    expect(await t.rollback()).toMatchObject({ from: 3, to: 2 });
    expect(await t.rollback()).toMatchObject({ from: 2, to: 1 });
    expect(await t.rollback()).toBeNull();
    await t.patch('--to', '3');
    await t.rollback('--to', '1');
    expect(await t.rollback()).toBeNull();
    const log = await t.root.json<VersionLog[]>('template', 'log', 't');
    expect(log.map(({ number, state }) => `${number} ${state}`)).toEqual([
      '3 old',
      '2 old',
      '1 current',
    ]);
  });

  test('refuses a version that does not exist, is older, or was never current, with what to do', async () => {
    await t.version(SECOND);
    const missing = await t.root.byref('patch', 't', '--to', '9');
    expect([missing.code, missing.stderr]).toEqual([
      EXIT.notFound,
      expect.stringContaining('template t has no version 9\n  hint: See byref template log t.'),
    ]);
    const staged = await t.root.byref('rollback', 't', '--to', '2');
    expect(staged.stderr).toContain(
      'never current\n  hint: To go there, use: byref patch t --to 2',
    );
    await t.patch();
    const older = await t.root.byref('patch', 't', '--to', '1');
    expect([older.code, older.stderr]).toEqual([
      EXIT.usage,
      expect.stringContaining('hint: To go back, use: byref rollback t --to 1'),
    ]);
  });

  test('refuses a version that hides another template of an env', async () => {
    await t.version({ 'opt/app': 'x' }, 'app', '--kind', 'app');
    await t.root.create('e', 't', 'app');
    await t.version({ 'usr/lib/a': 'two', opt: '-> usr' });
    const refused = await t.root.byref('patch', 't');
    expect([refused.code, refused.stderr]).toEqual([
      EXIT.badInput,
      expect.stringContaining('app has a directory at /opt, unlike t'),
    ]);
    expect(await t.root.json('history')).toEqual([]);
  });
});

describe('what an env has of its own', () => {
  const own = `
    echo mine >>etc/conf
    rm usr/lib/a
    mkdir -p srv/data && echo data >srv/data/file
    mv usr/lib/gone usr/lib/kept
    chmod 700 etc`;

  test('stays through patch and rollback, mounted or not', async () => {
    await t.envs('on', 'off');
    for (const env of ['on', 'off']) await t.in(env, own);
    const before = await t.out('on', LISTING);
    await t.root.umount('off');
    await t.version(SECOND);
    const record = await t.patch();
    expect(record.envs[0]).toMatchObject({ name: 'on', own: 1, removed: 2 });
    const withNew = before.replace('kept x\n', 'kept x\nusr/lib/new n\n');
    expect(await t.out('on', LISTING)).toBe(withNew);
    await t.root.mount('off');
    expect(await t.out('off', LISTING)).toBe(withNew);
    await t.rollback();
    for (const env of ['on', 'off']) expect(await t.out(env, LISTING)).toBe(before);
    expect(await t.root.ok('diff', 'on')).toBe(await t.root.ok('diff', 'off'));
  });

  test('keeps the directories that it is in, when the template loses them', async () => {
    await t.version({ 'opt/app/data/x': 't', 'opt/app/bin': 't', 'usr/lib/a': 'one' });
    await t.patch();
    await t.envs('on', 'off', 'clean');
    for (const env of ['on', 'off']) await t.in(env, 'echo own >opt/app/data/own');
    await t.root.umount('off');
    await t.version({ 'usr/lib/a': 'two' });
    const plan = await t.plan();
    expect(
      plan.envs.map(({ names }) => names.map(({ path: name, state }) => `${name} ${state}`)),
    ).toEqual([
      ['/opt private', '/opt/app private', '/opt/app/data private'],
      ['/opt private', '/opt/app private', '/opt/app/data private'],
      [],
    ]);
    expect((await t.patch()).envs[0]).toMatchObject({ name: 'on', keptDirs: 3 });
    await t.root.mount('off');
    for (const env of ['on', 'off']) {
      expect(await t.out(env, 'find opt -printf "%p %n\\n" | sort; cat opt/app/data/own')).toBe(
        'opt 3\nopt/app 3\nopt/app/data 2\nopt/app/data/own 1\nown\n',
      );
    }
    expect(await t.out('clean', 'ls')).toBe('usr\n');
    await t.rollback();
    expect(await t.out('on', 'find opt -type f | sort')).toBe(
      'opt/app/bin\nopt/app/data/own\nopt/app/data/x\n',
    );
  });

  test('wins where the template’s name gets another type', async () => {
    await t.version({ 'x/dir/f': 't', 'x/file': 't', 'x/link': '-> file' });
    await t.patch();
    await t.envs('e');
    await t.in('e', 'echo own >x/dir/own; echo own >>x/file; ln -sf elsewhere x/link');
    await t.version({ 'x/dir': 'a file', 'x/file/f': 'a directory', 'x/link/f': 'a directory' });
    const states = (await t.plan()).envs[0]!.names.map(
      ({ path: name, state }) => `${name} ${state}`,
    );
    expect(states).toEqual([
      '/x/dir type-changed',
      '/x/file type-changed',
      '/x/file/f private',
      '/x/link type-changed',
      '/x/link/f private',
    ]);
    await t.patch();
    expect(await t.out('e', 'ls x/dir; cat x/dir/own x/file; readlink x/link')).toBe(
      'own\nown\ntown\nelsewhere\n',
    );
  });
});

/** Every file with its content, and every directory's mode. */
const LISTING = `
  find . -type f ! -name hostname ! -name hosts ! -name machine-id | sort | while read -r file; do echo "\${file#./} $(cat "$file" | tr '\\n' ' ')" | sed 's/ $//'; done
  find . -type d | sort | while read -r dir; do echo "$dir $(stat -c %a "$dir")"; done`;

describe('while programs run', () => {
  test('open and mapped files go on with the old bytes, and can’t be changed', async () => {
    await t.envs('e');
    await t.version(SECOND);
    const patch = t.root.env['BYREF_ROOT'] ?? '';
    expect(patch).not.toBe('');
    const script = `
      exec 7<usr/lib/a 8<etc/conf
      "$1" patch t >/dev/null
      cat <&7; head -1 <&8
      cat usr/lib/a; stat -L -c %h /proc/self/fd/7
      chmod 600 /proc/self/fd/7 2>&1 | grep -o 'Stale.*'
      true`;
    const { stdout } = await t.root.shell(script, t.mount('e'));
    expect(stdout).toBe('onea\ntwo0\nStale file handle\n');
  });

  test('a directory of the old version that a program is in stays readable to it', async () => {
    await t.version({ 'opt/old/f': 'old', 'usr/lib/a': 'x' });
    await t.patch();
    await t.envs('e');
    await t.version({ 'opt/new/f': 'new', 'usr/lib/a': 'x' });
    const script = `
      cd opt/old
      "$1" patch t >/dev/null
      cat f; ls; (: >made) 2>&1 | grep -o 'Stale.*'; ls ..
      "$1" rollback t >/dev/null
      : >made; ls`;
    const { stdout } = await t.root.shell(script, t.mount('e'));
    expect(stdout).toBe('oldf\nStale file handle\nnew\nf\nmade\n');
  });

  test('mounts inside an env stay', async () => {
    await t.version({ ...SECOND, 'mnt/keep': '', 'proc/keep': '', 'etc/hosts': 'h' });
    await t.patch();
    await t.envs('e');
    await t.version({ 'usr/lib/a': 'three', 'mnt/keep': '', 'proc/keep': '', 'etc/hosts': 'h' });
    const script = `
      mount -t tmpfs none mnt; mount -t proc proc proc; mount --bind /etc/hostname etc/hosts
      trap 'umount mnt proc etc/hosts' EXIT
      touch mnt/here
      "$1" patch t >/dev/null
      ls mnt; cmp etc/hosts /etc/hostname && cat proc/sys/kernel/ostype usr/lib/a`;
    const { stdout, stderr } = await t.root.shell(script, t.mount('e'));
    expect(stdout, stderr).toBe('here\nLinux\nthree');
  });

  test('an env whose driver is dead sees the version after unmounting and mounting', async () => {
    await t.envs('dead', 'live');
    const { driverPid } = await t.root.info('dead');
    process.kill(driverPid!, 'SIGKILL');
    await expect.poll(async () => (await t.root.info('dead')).state).toBe('dead');
    await t.version(SECOND);
    const record = await t.patch();
    expect(record.envs.map(({ outcome }) => outcome)).toEqual(['dead', 'dead']);
    await t.root.umount();
    await t.root.ok('mount', '--all');
    for (const env of ['dead', 'live']) expect(await t.out(env, 'cat usr/lib/a')).toBe('two');
  });
});

describe('the history', () => {
  test('says who moved what, when and with what outcome, by template and by env', async () => {
    await t.envs('e', 'f');
    await t.version(SECOND);
    await t.patch('--note', 'CVE-1');
    await t.root.ok('pin', 'f', 't@1');
    await t.rollback();
    const all = await t.root.json<(PatchRecord & { started: string })[]>('history');
    expect(all.map(({ kind, from, to, state }) => `${kind} ${from} ${to} ${state}`)).toEqual([
      'rollback 2 1 done',
      'pin 2 1 done',
      'patch 1 2 done',
    ]);
    expect(all[2]).toMatchObject({
      note: 'CVE-1',
      by: { uid: 0, command: expect.stringContaining('patch t') as string },
    });
    expect(Date.parse(all[2]!.started)).toBeGreaterThan(Date.now() - 60_000);
    expect(await t.root.json('history', 't')).toHaveLength(3);
    expect(await t.root.json('history', 'f')).toHaveLength(2);
    expect((await t.root.byref('history', 'nothing')).code).toBe(EXIT.notFound);
    const shown = await t.root.ok('history', '--show', '1');
    expect(shown).toContain('t: patch 1 -> 2, done (1)\n  2 envs see it now');
    expect(shown).toContain('e: flipped');
  });

  test('the log says what each version changed, and who sees it', async () => {
    await t.envs('e', 'f');
    await t.version(SECOND, 't', '--label', 'v2', '--note', 'why');
    await t.root.ok('pin', 'f', 't@1');
    await t.patch();
    const log = await t.root.json<VersionLog[]>('template', 'log', 't');
    expect(log).toMatchObject([
      {
        number: 2,
        label: 'v2',
        note: 'why',
        state: 'current',
        changed: 4,
        following: 1,
        pinned: [],
      },
      { number: 1, state: 'past', changed: 3, following: 0, pinned: ['f'] },
    ]);
    expect(await t.root.ok('template', 'diff', 't', '1', '2')).toBe(
      'C /etc/conf\nC /usr/lib/a\nD /usr/lib/gone\nA /usr/lib/new\n',
    );
    expect(await t.root.ok('template', 'diff', 't', '1', '2', '--content')).toContain(
      'C /etc/conf\n--- a/etc/conf\n+++ b/etc/conf\n@@ -2,4 +2,4 @@\n b\n c\n d\n-e\n+E\n',
    );
  });
});

test('pin and follow move a mounted env at once, and only it', async () => {
  await t.envs('e', 'f');
  await t.version(SECOND);
  await t.root.ok('pin', 'e', 't@2');
  expect([await t.out('e', 'cat usr/lib/a'), await t.out('f', 'cat usr/lib/a')]).toEqual([
    'two',
    'one',
  ]);
  expect(await t.root.ok('list', '-H', '-o', 'os')).toBe('t@2\nt\n');
  expect(await t.root.ok('pin', 'e', 't')).toContain('pinned already');
  await t.root.ok('follow', 'e', 't');
  expect(await t.out('e', 'cat usr/lib/a')).toBe('one');
  expect(await t.root.ok('follow', 'e', 't')).toContain('follows already');
  const wrong = await t.root.byref('pin', 'e', 't@9');
  expect([wrong.code, wrong.stderr]).toEqual([
    EXIT.notFound,
    expect.stringContaining('no version 9'),
  ]);
});

test('a patch of one app template leaves the others and the OS as they are', async () => {
  await t.version({ 'opt/app/v': 'one' }, 'app', '--kind', 'app');
  await t.root.create('e', 't', 'app');
  await t.root.mount('e');
  await t.version({ 'opt/app/v': 'two', 'usr/lib/a': 'from the app' }, 'app', '--kind', 'app');
  await t.root.ok('patch', 'app');
  expect(await t.out('e', 'cat opt/app/v usr/lib/a')).toBe('twofrom the app');
  await t.version(SECOND);
  await t.patch();
  expect(await t.out('e', 'cat opt/app/v usr/lib/a usr/lib/new')).toBe('twofrom the appn');
  await t.root.ok('rollback', 'app');
  expect(await t.out('e', 'cat opt/app/v usr/lib/a usr/lib/new')).toBe('onetwon');
});

test('--check says what would happen and changes nothing', async () => {
  await t.envs('e', 'f', 'g');
  await t.in(
    'e',
    'echo mine >>etc/conf; rm usr/lib/a; echo n >usr/lib/new; printf "a\\nb\\nc\\nd\\nE\\n" >etc/conf2; mv etc/conf2 etc/conf',
  );
  await t.in('g', 'echo mine >>etc/conf');
  await t.root.umount('g');
  await t.version(SECOND, 't', '--label', 'v2');
  const holder = t.root.background('exec 7<"$1"; sleep 60', path.join(t.mount('f'), 'usr/lib/a'));
  await expect.poll(async () => (await t.plan()).envs[1]!.counts['in-use']).toBe(1);
  const refused = await t.root.byref('patch', 't', '--check', '--take', '/etc');
  holder.kill();
  expect(refused.code).toBe(EXIT.pending);
  expect(refused.stdout.split('\n').filter((line) => !line.includes('new'))).toEqual([
    't: 1 -> 2 (v2)',
    'C /etc/conf',
    'C /usr/lib/a',
    'D /usr/lib/gone',
    '3 envs go along',
    'e (mounted): 1 clean, 1 private copy wins, 1 private and equal, 1 deleted by the env',
    '  C /etc/conf: private and equal, take',
    '  C /usr/lib/a: deleted by the env',
    'f (mounted): 3 clean, 1 open or mapped now',
    '  C /usr/lib/a: open or mapped now',
    'g (stopped): 3 clean, 1 private copy wins',
    '  C /etc/conf: private copy, will be set aside (take)',
    '',
  ]);
  expect(await t.root.json('history')).toEqual([]);
  expect(await t.out('f', 'cat usr/lib/a')).toBe('one');
  await t.patch();
  expect((await t.root.byref('patch', 't', '--check')).code).toBe(EXIT.ok);
});

test('the plan and the record count alike what is below directories that an env removed or moved', async () => {
  await t.envs('gone', 'link', 'moved', 'back', 'new');
  await t.in('gone', 'rm -r usr');
  await t.in('link', 'rm -r usr/lib; ln -s /etc usr/lib');
  await t.in('moved', 'mv usr/lib etc/lib; rm etc/lib/gone');
  await t.in('back', 'rm -r usr/lib; mkdir usr/lib; echo own >usr/lib/a');
  await t.in('new', 'mv usr other; mkdir usr; mv other/lib usr/lib');
  await t.version(SECOND);
  const planned = new Map((await t.plan()).envs.map(({ name, counts }) => [name, counts]));
  const { envs } = await t.patch();
  const counts = (name: string) => {
    const plan = planned.get(name)!;
    const { own, removed } = envs.find((env) => env.name === name)!;
    expect([plan.deleted, plan.private + plan['type-changed']], name).toEqual([removed, own]);
    return { own, removed };
  };
  expect(counts('gone')).toEqual({ own: 0, removed: 3 });
  expect(counts('link')).toEqual({ own: 1, removed: 2 });
  expect(counts('moved')).toEqual({ own: 0, removed: 1 });
  expect(counts('back')).toEqual({ own: 1, removed: 2 });
  expect(counts('new')).toEqual({ own: 0, removed: 0 });
  expect(await t.out('new', 'cat usr/lib/new')).toBe('n');
  expect(await t.out('moved', 'cat etc/lib/new')).toBe('n');
});

test('patching starts no process and leaves none', async () => {
  await t.version(SECOND);
  await t.patch();
  expect(t.root.processes()).toEqual([]);
  expect(existsSync(path.join(t.root.path, 'mnt'))).toBe(true);
});
