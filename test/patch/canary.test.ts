import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { PatchRecord } from '../../src/codec/patch-record.ts';
import { PatchRoot } from '../support/machine/patch-root.ts';
import { BYREF } from '../support/machine/program.ts';

let t: PatchRoot;

beforeEach(async () => {
  t = await PatchRoot.create();
  await t.version({ 'usr/v': 'one' });
  await t.version({ 'usr/v': 'two' });
});
afterEach(() => t.dispose());

const seen = async (...envs: string[]): Promise<string[]> =>
  Promise.all(envs.map((env) => t.out(env, 'cat usr/v')));

/** Runs on the host, in the env's mount: an env of the tests has no shell. */
const HOST = ['--health-on', 'host', '--health-interval', '50ms'];

test('canaries go alone; a patch takes the others along, a rollback takes the canaries back', async () => {
  await t.envs('a', 'b', 'c');
  expect(await t.patch('--canary', 'a', 'b')).toMatchObject({ state: 'canary', all: false });
  expect(await seen('a', 'b', 'c')).toEqual(['two', 'two', 'one']);
  expect(await t.root.ok('list', '-H', '-o', 'os')).toBe('t@2(canary)\nt@2(canary)\nt\n');
  await t.root.umount('a');
  await t.root.mount('a');
  expect(await seen('a')).toEqual(['two']);
  expect(await t.rollback()).toMatchObject({ state: 'undone', note: 'taken back by a command' });
  expect(await seen('a', 'b', 'c')).toEqual(['one', 'one', 'one']);

  await t.patch('--to', '2', '--canary', 'c');
  const all = await t.patch('--note', 'CHG-42');
  expect(all).toMatchObject({ state: 'done', all: true, from: 1, to: 2, note: 'CHG-42' });
  expect(all.envs.map(({ name }) => name).sort()).toEqual(['a', 'b', 'c']);
  expect(await seen('a', 'b', 'c')).toEqual(['two', 'two', 'two']);
  expect(await t.root.ok('list', '-H', '-o', 'os')).toBe('t\nt\nt\n');
  await t.rollback();
  expect(await seen('a', 'b', 'c')).toEqual(['one', 'one', 'one']);
});

test('while canaries wait, no other version comes between', async () => {
  await t.envs('a');
  await t.version({ 'usr/v': 'three' });
  await t.patch('--to', '2', '--canary', 'a');
  const refused = await t.root.byref('patch', 't', '--to', '3');
  expect([refused.code, refused.stderr]).toEqual([
    EXIT.busy,
    expect.stringContaining('Go on with: byref patch t. Or take them back with: byref rollback t'),
  ]);
});

test('healthy canaries take all along', async () => {
  await t.envs('a', 'b', 'c', 'd');
  const log = path.join(t.root.base, 'log');
  const health = `echo "$BYREF_ENV $BYREF_ENV_ID" >>${log}; grep -q two "$BYREF_MOUNT/usr/v"`;
  const record = await t.patch('--canary', '50%', '--health', health, ...HOST);
  expect(record).toMatchObject({ state: 'done', all: true });
  expect(readFileSync(log, 'utf8').trim().split('\n').sort()).toEqual(['a 1', 'b 2']);
  expect(await seen('a', 'b', 'c', 'd')).toEqual(['two', 'two', 'two', 'two']);
});

test('an unhealthy canary takes all back, and the record says why, with the output', async () => {
  await t.envs('a', 'b', 'c');
  const health = 'echo "to stderr" >&2; echo "of $BYREF_ENV"; [ "$BYREF_ENV" != b ]';
  const options = ['--canary', 'a', 'b', '--health', health, '--health-retries', '2', ...HOST];
  const { code, stdout } = await t.root.byref('patch', 't', '--json', ...options);
  expect(code).toBe(EXIT.unhealthy);
  const record = JSON.parse(stdout) as PatchRecord;
  expect(record).toMatchObject({ state: 'undone', all: false });
  expect(record.note).toBe(`unhealthy in b: ${health}: exit status 1 (3 tries)\nto stderr\nof b`);
  expect(await seen('a', 'b', 'c')).toEqual(['one', 'one', 'one']);
  expect(await t.root.ok('list', '-H', '-o', 'os')).toBe('t\nt\nt\n');
});

test('a health command that does not end is ended with all that it started', async () => {
  await t.envs('a');
  const mark = `sleep 98.${process.pid}`;
  const started = Date.now();
  const options = ['--canary', 'a', '--health', `${mark} & ${mark}`, '--health-timeout', '0.3s'];
  const { code, stdout } = await t.root.byref(
    'patch',
    't',
    ...options,
    '--health-retries',
    '0',
    ...HOST,
  );
  expect(code).toBe(EXIT.unhealthy);
  expect(stdout).toContain('no end after 0.3 s');
  expect(Date.now() - started).toBeLessThan(10_000);
  const { stdout: left } = await t.root.shell(`pgrep -fx '${mark}' | wc -l`, '/');
  expect(left.trim()).toBe('0');
});

test('a health command runs in the env’s own root', async () => {
  const root = await PatchRoot.create();
  try {
    const { busybox } = await staticShell(root);
    await root.version({ 'usr/v': 'one' });
    await root.root.ok('template', 'rm', 't');
    await root.root.import('t', busybox);
    await root.envs('a', 'b');
    await root.root.shell('echo two >"$2/usr/v"'.replace('$2', busybox), '/');
    await root.root.import('t', busybox);
    const good = await root.patch(
      '--canary',
      'a',
      '--health',
      '[ "$(cat /usr/v)" = two ] && [ $BYREF_ENV = a ]',
    );
    expect(good).toMatchObject({ state: 'done' });
  } finally {
    await root.dispose();
  }
});

/** A tree with Debian's shell and its libraries: enough for sh -c, test and cat. */
async function staticShell(root: PatchRoot): Promise<{ busybox: string }> {
  const busybox = root.root.directory('shell');
  const script = `
    cd ${busybox}; mkdir -p usr bin
    echo one >usr/v
    for program in /bin/sh /bin/cat; do
      cp -L "$program" bin/
      ldd "$program" | grep -o '/[^ ]*' | while read -r lib; do mkdir -p ".\${lib%/*}"; cp -L "$lib" ".$lib"; done
    done`;
  const { code, stderr } = await root.root.shell(script, '/');
  expect(code, stderr).toBe(0);
  return { busybox };
}

test('stages go on from wave to wave, mounted envs first', async () => {
  await t.envs('a', 'b', 'c');
  for (const name of ['d', 'e', 'f', 'g', 'h', 'i', 'j']) await t.root.create(name, 't');
  const options = ['--stages', '1,50%,100%', '--pause', '50ms', '--health', 'true', ...HOST];
  const { stderr, code } = await t.root.byref('patch', 't', ...options);
  expect(code, stderr).toBe(0);
  expect(stderr.trim().split('\n')).toEqual([
    '1 env tries it: a',
    'waiting 0.05 s',
    'healthy in 1 env',
    '5 envs try it: b, c, d, e',
    'waiting 0.05 s',
    'healthy in 5 envs',
  ]);
  const [record] = await t.root.json<PatchRecord[]>('history', 't');
  expect(record).toMatchObject({ state: 'done', all: true });
  expect(record!.envs).toHaveLength(10);
  expect(await seen('a', 'b', 'c')).toEqual(['two', 'two', 'two']);
});

test('what a stage met in an env is in the record of the whole', async () => {
  await t.version({ 'usr/v': 'three', 'usr/w': 'three' });
  await t.envs('a', 'b');
  await t.in('a', 'rm usr/v');
  await t.in('b', 'echo own >usr/v');
  await t.root.ok('patch', 't', '--stages', '1,100%', '--pause', '50ms');
  const [record] = await t.root.json<PatchRecord[]>('history', 't');
  expect(record!.envs).toMatchObject([
    { name: 'a', outcome: 'flipped', own: 0, removed: 1 },
    { name: 'b', outcome: 'flipped', own: 1, removed: 0 },
  ]);
  await t.version({ 'usr/v': 'four' });
  await t.root.ok('patch', 't', '--canary', 'b');
  await t.root.umount('b');
  await t.root.ok('patch', 't');
  const [second] = await t.root.json<PatchRecord[]>('history', 't');
  expect(second!.envs).toContainEqual(
    expect.objectContaining({ name: 'b', outcome: 'flipped', own: 1 }),
  );
});

test('other commands write while a rollout waits, another patch of the template does not, and ^C takes it back', async () => {
  await t.envs('a', 'b');
  const child = t.root.background('exec "$1" patch t --stages 1,100% --pause 60s', BYREF);
  await expect.poll(async () => seen('a')).toEqual(['two']);
  await t.root.create('meanwhile', 't');
  const refused = await t.root.byref('patch', 't', '--wait', '0');
  expect([refused.code, refused.stderr]).toEqual([
    EXIT.locked,
    expect.stringMatching(new RegExp(`process ${child.pid} \\(byref patch .* is patching t\n`)),
  ]);
  process.kill(child.pid!, 'SIGINT');
  await expect.poll(async () => seen('a')).toEqual(['one']);
  await expect.poll(() => child.exitCode).toBe(EXIT.unhealthy);
  const [record] = await t.root.json<PatchRecord[]>('history', 't');
  expect(record).toMatchObject({ state: 'undone', note: 'it was interrupted' });
});

test('wrong options are refused before anything happens', async () => {
  await t.envs('a');
  await t.root.create('off', 't');
  await t.version({ 'opt/x': 'x' }, 'other');
  await t.root.create('foreign', 'other');
  const refused = async (...options: string[]): Promise<string> => {
    const { code, stderr } = await t.root.byref('patch', 't', ...options);
    expect(code).not.toBe(0);
    return stderr;
  };
  expect(await refused('--canary', 'a', '--stages', '1')).toContain('exclude each other');
  expect(await refused('--health', 'true')).toContain('needs envs to try the version in');
  expect(await refused('--canary', 'a', '--health', 'true', '--health-on', 'moon')).toContain(
    'Use --health-on env or host.',
  );
  expect(await refused('--stages', '1,x')).toContain('Write a number, as 3, or a part, as 10%.');
  expect(await refused('--canary', '101%')).toContain('no part of the envs');
  expect(await refused('--pause', 'long', '--stages', '1')).toContain(
    'Write 30s, 500ms, 2m or 1h.',
  );
  expect(await refused('--wait', '30s', '--stages', '1')).toContain('add --pause 0');
  expect(await refused('--canary', 'none')).toContain('there is no env "none"');
  expect(await refused('--canary', 'foreign')).toContain('foreign does not follow this template');
  expect(await refused('--canary', 'off', '--health', 'true')).toContain('off is not mounted');
  expect(await seen('a')).toEqual(['one']);
  expect(await t.root.json('history')).toEqual([]);
});
