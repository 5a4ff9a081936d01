import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { PatchRecord } from '../../src/codec/patch-record.ts';
import type { SavedEntry } from '../../src/manager/rollout/saved.ts';
import { PatchRoot } from '../support/machine/patch-root.ts';

let t: PatchRoot;

const lines = (...text: string[]): string => text.map((line) => `${line}\n`).join('');
const FIRST = {
  'etc/conf': lines('a', 'b', 'c', 'd', 'e'),
  'etc/other': 'one\n',
  'bin/tool': 'one',
};
const SECOND = {
  'etc/conf': lines('a', 'b', 'c', 'd', 'E'),
  'etc/other': 'two\n',
  'bin/tool': 'two',
};

beforeEach(async () => {
  t = await PatchRoot.create();
  await t.version(FIRST);
});
afterEach(() => t.dispose());

const actionsOf = ({ envs }: PatchRecord, env: string): string[] =>
  (envs.find(({ name }) => name === env)?.acts ?? [])
    .map(({ what, path: at, done }) => `${what} ${at}${done ? '' : ' not done'}`)
    .sort();

const saved = (env: string): Promise<SavedEntry[]> => t.root.json('saved', 'list', env);

/** The same in a mounted env and in one that is not. */
const PLACES = [
  ['mounted', () => Promise.resolve('')],
  ['unmounted', (env: string) => t.root.ok('umount', env)],
] as const;

test.each(PLACES)(
  'take sets own files of a %s env aside, and a rollback puts them back',
  async (_, place) => {
    await t.envs('e');
    await t.in(
      'e',
      'echo mine >etc/conf; echo one more >etc/other; chmod 600 etc/other; ln -sf x bin/tool; setfattr -n user.x -v y etc/conf',
    );
    const before = await t.out('e', SHOW);
    await place('e');
    await t.version(SECOND);
    const patched = await t.patch('--take', '/etc', '--take', '/bin/t*');
    expect(actionsOf(patched, 'e')).toEqual([
      'taken /bin/tool',
      'taken /etc/conf',
      'taken /etc/other',
    ]);
    await t.root.mount('e');
    expect(await t.out('e', 'cat etc/conf etc/other bin/tool; stat -c %a etc/other')).toBe(
      `${SECOND['etc/conf']}two\ntwo644\n`,
    );
    expect((await saved('e')).map(({ path: at, patch }) => `${at} ${patch}`).sort()).toEqual([
      '/bin/tool 1',
      '/etc/conf 1',
      '/etc/other 1',
    ]);
    await place('e');
    const back = await t.rollback();
    expect(actionsOf(back, 'e')).toEqual([
      'restored /bin/tool',
      'restored /etc/conf',
      'restored /etc/other',
    ]);
    await t.root.mount('e');
    expect(await t.out('e', SHOW)).toBe(before);
    expect(await saved('e')).toEqual([]);
  },
);

const SHOW =
  'for f in etc/conf etc/other bin/tool; do stat -c "%N %a %i %s" $f; getfattr -d $f; cat $f 2>/dev/null; done; true';

test.each(PLACES)(
  'merge takes the template’s change into a file of a %s env, and a rollback takes it out',
  async (_, place) => {
    await t.envs('e');
    await t.in('e', 'sed -i s/^a$/A/ etc/conf; chmod 640 etc/conf; chown 7:8 etc/conf');
    const before = await t.out('e', 'stat -c "%a %u %g %i" etc/conf; cat etc/conf');
    const privateFiles = () => readdirSync(path.join(t.root.path, 'envs/1/private')).sort();
    const ownBefore = privateFiles();
    await place('e');
    await t.version(SECOND);
    expect(actionsOf(await t.patch('--merge', '/etc'), 'e')).toEqual(['merged /etc/conf']);
    await t.root.mount('e');
    expect(await t.out('e', 'cat etc/conf; stat -c "%a %u %g %h" etc/conf')).toBe(
      `${lines('A', 'b', 'c', 'd', 'E')}640 7 8 1\n`,
    );
    await place('e');
    expect(actionsOf(await t.rollback(), 'e')).toEqual(['restored /etc/conf']);
    await t.root.mount('e');
    expect(await t.out('e', 'stat -c "%a %u %g %i" etc/conf; cat etc/conf')).toBe(before);
    // Nothing is left of the merge.
    await t.root.umount('e');
    expect(privateFiles()).toEqual(ownBefore);
    expect(
      readdirSync(path.join(t.root.path, 'envs/1')).filter((name) => name.startsWith('merge')),
    ).toEqual([]);
  },
);

test('what was merged or made since the patch stays at a rollback, and what was set aside can be had', async () => {
  await t.envs('e');
  await t.in('e', 'sed -i s/^a$/A/ etc/conf; echo mine >etc/other');
  await t.version(SECOND);
  await t.patch('--merge', '/etc/conf', '--take', '/etc/other');
  await t.in('e', 'echo more >>etc/conf; echo again >etc/other');
  const back = await t.rollback();
  expect(actionsOf(back, 'e')).toEqual(['changed /etc/conf', 'changed /etc/other']);
  expect(await t.out('e', 'tail -1 etc/conf; cat etc/other')).toBe('more\nagain\n');
  expect(await t.root.ok('history', '--show', '2')).toContain(
    'e: /etc/other: not put back: the env has changed it since',
  );
  const busy = await t.root.byref('saved', 'restore', 'e', '/etc/other');
  expect([busy.code, busy.stderr]).toEqual([EXIT.busy, expect.stringContaining('of its own')]);
  const out = path.join(t.root.base, 'out');
  await t.root.ok('saved', 'restore', 'e', '/etc/other', '--to', out);
  expect(readFileSync(out, 'utf8')).toBe('mine\n');
  // Restored by hand, once nothing is in its way.
  await t.in('e', 'mv etc/other etc/moved');
  const removed = await t.root.byref('saved', 'restore', 'e', '/etc/other');
  expect(removed.stderr).toContain('or has removed it');
  await t.root.ok('saved', 'rm', 'e', '/etc/other');
  expect((await saved('e')).map(({ path: at }) => at)).toEqual(['/etc/conf']);
  await t.root.ok('saved', 'rm', 'e', '--all');
  expect(await saved('e')).toEqual([]);
});

test('a set aside file can be put back by hand, live', async () => {
  await t.envs('e');
  await t.in('e', 'echo mine >etc/other');
  await t.version(SECOND);
  await t.patch('--take', '/etc');
  expect(await t.out('e', 'cat etc/other')).toBe('two\n');
  await t.root.ok('saved', 'restore', 'e', '/etc/other');
  expect(await t.out('e', 'cat etc/other')).toBe('mine\n');
  expect(actionsOf(await t.rollback(), 'e')).toEqual(['restored /etc/other']);
  expect(await t.out('e', 'cat etc/other')).toBe('mine\n');
});

test('a merge that can’t be made keeps the env’s own, and says why', async () => {
  await t.version({ ...FIRST, 'etc/bin': 'a\0b\n', 'etc/hard': 'a\n', 'etc/type': 'a\n' });
  await t.patch();
  await t.envs('e');
  await t.in(
    'e',
    'sed -i s/^e$/mine/ etc/conf; echo >>etc/bin; echo x >>etc/hard; ln etc/hard etc/hard2; rm etc/type; ln -s x etc/type; chmod 600 etc/other',
  );
  await t.version({ ...SECOND, 'etc/bin': 'a\0c\n', 'etc/hard': 'b\n', 'etc/type': 'b\n' });
  const before = await t.out('e', 'cat etc/conf etc/bin etc/hard');
  const record = await t.patch('--merge', '/etc');
  const why = new Map(record.envs[0]!.acts.map(({ path: at, why: text }) => [at, text]));
  expect(Object.fromEntries(why)).toEqual({
    '/etc/conf': 'the env and the template changed the same lines',
    '/etc/bin': 'it is no text',
    '/etc/hard': 'the env has it under several names',
    '/etc/type': 'it is no regular file',
  });
  expect(await t.out('e', 'cat etc/conf etc/bin etc/hard')).toBe(before);
  expect(await saved('e')).toEqual([]);
});

test('a file that a program writes to is not merged under it', async () => {
  await t.envs('e');
  await t.in('e', 'sed -i s/^a$/A/ etc/conf');
  await t.version(SECOND);
  const writer = t.root.background('exec 7>>"$1"; sleep 60', path.join(t.mount('e'), 'etc/conf'));
  await expect.poll(async () => (await t.plan()).envs.length).toBe(1);
  await expect
    .poll(async () => (await t.out('e', 'fuser etc/conf 2>/dev/null | wc -w')).trim())
    .not.toBe('0');
  const record = await t.patch('--merge', '/etc');
  expect(actionsOf(record, 'e')).toEqual(['conflict /etc/conf']);
  expect(record.envs[0]!.acts[0]!.why).toBe('the env has changed it meanwhile');
  writer.kill();
});

test('of several policies that match the last one counts; the record has them', async () => {
  await t.envs('e');
  await t.in('e', 'echo mine >etc/conf; echo mine >etc/other');
  await t.version(SECOND);
  const record = await t.patch('--take', '/etc', '--keep', '/etc/conf');
  expect(actionsOf(record, 'e')).toEqual(['taken /etc/other']);
  expect(record.policies).toEqual([
    { pattern: '/etc', action: 'take' },
    { pattern: '/etc/conf', action: 'keep' },
  ]);
  const wrong = await t.root.byref('patch', 't', '--take', 'etc');
  expect([wrong.code, wrong.stderr]).toEqual([
    EXIT.usage,
    expect.stringContaining('Begin it with a slash'),
  ]);
});

test('a canary’s own files go back with it', async () => {
  await t.envs('e', 'f');
  for (const env of ['e', 'f']) await t.in(env, 'echo mine >etc/other');
  await t.version(SECOND);
  await t.patch('--canary', 'e', '--take', '/etc');
  expect([await t.out('e', 'cat etc/other'), await t.out('f', 'cat etc/other')]).toEqual([
    'two\n',
    'mine\n',
  ]);
  await t.rollback();
  expect([await t.out('e', 'cat etc/other'), await t.out('f', 'cat etc/other')]).toEqual([
    'mine\n',
    'mine\n',
  ]);
  expect(await saved('e')).toEqual([]);
});

test('an env that is pinned back gets back what the patch set aside', async () => {
  await t.envs('e');
  await t.in('e', 'echo mine >etc/other');
  await t.version(SECOND);
  await t.patch('--take', '/etc');
  await t.root.ok('pin', 'e', 't@1');
  expect(await t.out('e', 'cat etc/other')).toBe('mine\n');
  expect(await saved('e')).toEqual([]);
});
