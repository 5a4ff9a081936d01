import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FileAction, PatchRecord } from '../../src/codec/patch-record.ts';
import type { SavedEntry } from '../../src/manager/rollout/saved.ts';
import { PatchRoot } from '../support/machine/patch-root.ts';

/** What many packages share and an env has changed too is merged record by record, whatever moves the env. */
let t: PatchRoot;

const ROOT = 'root:x:0:0:root:/root:/bin/sh\n';
const passwd = (...lines: string[]): string => ROOT + lines.map((line) => `${line}\n`).join('');
const DAEMON = 'daemon:x:1:1::/:/bin/false';
const stanza = (name: string, version: string): string =>
  `Package: ${name}\nStatus: install ok installed\nArchitecture: all\nVersion: ${version}\n\n`;

const FIRST = {
  'etc/passwd': passwd(DAEMON),
  'etc/ld.so.cache': 'one',
  'var/lib/dpkg/status': stanza('a', '1') + stanza('b', '1'),
};
const SECOND = {
  'etc/passwd': passwd('daemon:x:1:1::/:/sbin/nologin', 'new:x:100:100::/:/bin/false'),
  'etc/ld.so.cache': 'two',
  'var/lib/dpkg/status': stanza('a', '2') + stanza('b', '1'),
};
const ALICE = 'alice:x:1000:1000::/home/alice:/bin/sh';
const CHANGE = `echo ${ALICE} >>etc/passwd; chmod 600 etc/passwd
  printf '${stanza('own', '7').replaceAll('\n', '\\n')}' >>var/lib/dpkg/status`;
const PACKAGES =
  "grep -E '^(Package|Version)' var/lib/dpkg/status | paste -sd' ' | sed 's/[^ ]*: //g'";
const SHOW = `cat etc/passwd; stat -c %a etc/passwd; ${PACKAGES}`;

const before = `${passwd(DAEMON, ALICE)}600\na 1 b 1 own 7\n`;
const after = `${SECOND['etc/passwd']}${ALICE}\n600\na 2 b 1 own 7\n`;
/** Its order is the env's; which lines there are is what counts. */
const sorted = (text: string): string[] => text.split('\n').sort();

beforeEach(async () => {
  t = await PatchRoot.create();
  await t.version(FIRST);
});
afterEach(() => t.dispose());

const actionsOf = ({ envs }: PatchRecord, env: string): FileAction[] => [
  ...(envs.find(({ name }) => name === env)?.acts ?? []),
];
const whatOf = (record: PatchRecord, env: string): string[] =>
  actionsOf(record, env)
    .map(({ what, path }) => `${what} ${path}`)
    .sort();

const MERGED = ['merged /etc/passwd', 'updated /var/lib/dpkg/status'];
const RESTORED = ['restored /etc/passwd', 'updated /var/lib/dpkg/status'];

const PLACES = [
  ['mounted', () => Promise.resolve('')],
  ['unmounted', (env: string) => t.root.ok('umount', env)],
] as const;

test.each(PLACES)(
  'a %s env keeps its records and gets the new ones; a rollback takes these back',
  async (_, place) => {
    await t.envs('e', 'plain');
    await t.in('e', CHANGE);
    expect(await t.out('e', SHOW)).toBe(before);
    await place('e');
    await t.version(SECOND);
    const plan = await t.plan();
    expect(plan.envs.find(({ name }) => name === 'e')?.names).toMatchObject([
      { path: '/etc/passwd', state: 'private', action: 'merge' },
      { path: '/var/lib/dpkg/status', state: 'private', action: 'merge' },
    ]);
    const patched = await t.patch();
    expect(whatOf(patched, 'e')).toEqual(MERGED);
    expect(whatOf(patched, 'plain')).toEqual([]);
    await t.root.mount('e');
    expect(sorted(await t.out('e', SHOW))).toEqual(sorted(after));
    expect(await t.out('plain', 'cat etc/passwd')).toBe(SECOND['etc/passwd']);
    await place('e');
    expect(whatOf(await t.rollback(), 'e')).toEqual(RESTORED);
    await t.root.mount('e');
    expect(await t.out('e', SHOW)).toBe(before);
    expect(await t.root.json<SavedEntry[]>('saved', 'list', 'e')).toEqual([]);
  },
);

test('what the env changed after the patch stays over a rollback, which takes back the new records', async () => {
  await t.envs('e', 'late');
  await t.in('e', CHANGE);
  await t.version(SECOND);
  await t.patch();
  const bob = 'bob:x:1001:1001::/home/bob:/bin/sh';
  for (const env of ['e', 'late']) await t.in(env, `echo ${bob} >>etc/passwd`);
  const back = await t.rollback();
  expect(whatOf(back, 'e')).toEqual(['merged /etc/passwd', 'updated /var/lib/dpkg/status']);
  expect(whatOf(back, 'late')).toEqual(['merged /etc/passwd']);
  expect(sorted(await t.out('e', 'cat etc/passwd'))).toEqual(sorted(passwd(DAEMON, ALICE, bob)));
  expect(sorted(await t.out('late', 'cat etc/passwd'))).toEqual(sorted(passwd(DAEMON, bob)));
});

test('a record that both changed is the env’s, and said; the others are merged', async () => {
  await t.envs('e');
  await t.in('e', `sed -i s,/bin/false,/bin/sh, etc/passwd; echo ${ALICE} >>etc/passwd`);
  await t.version(SECOND);
  const [act] = actionsOf(await t.patch(), 'e');
  expect(act).toMatchObject({
    what: 'merged',
    path: '/etc/passwd',
    why: 'both changed user daemon; that of the env stays',
  });
  expect(await t.out('e', "grep -E '^(daemon|new|alice)' etc/passwd | cut -d: -f1,7 | sort")).toBe(
    'alice:/bin/sh\ndaemon:/bin/sh\nnew:/bin/false\n',
  );
});

test('what a command makes is to be made again in the env, and that is said', async () => {
  await t.envs('e');
  await t.in('e', 'echo own >etc/ld.so.cache');
  await t.version(SECOND);
  const [act] = actionsOf(await t.patch(), 'e');
  expect(act).toMatchObject({
    what: 'conflict',
    path: '/etc/ld.so.cache',
    why: 'run "ldconfig -X" in the env',
  });
  expect(await t.out('e', 'cat etc/ld.so.cache')).toBe('own\n');
});

test('a policy for the path goes before: keep leaves it, take sets it aside', async () => {
  await t.envs('e');
  await t.in('e', CHANGE);
  await t.version(SECOND);
  const record = await t.patch('--keep', '/etc/passwd', '--take', '/var/lib/dpkg/*');
  expect(whatOf(record, 'e')).toEqual(['taken /var/lib/dpkg/status']);
  expect(await t.out('e', SHOW)).toBe(`${passwd(DAEMON, ALICE)}600\na 2 b 1\n`);
});

test('pin, follow, canaries and their way back merge, too', async () => {
  await t.envs('e', 'f');
  for (const env of ['e', 'f']) await t.in(env, CHANGE);
  await t.version(SECOND);
  const shows = async (env: string): Promise<string[]> => sorted(await t.out(env, SHOW));
  await t.patch('--canary', 'e');
  expect(await shows('e')).toEqual(sorted(after));
  expect(await shows('f')).toEqual(sorted(before));
  await t.rollback();
  expect(await shows('e')).toEqual(sorted(before));
  await t.root.ok('pin', 'f', 't@2');
  expect(await shows('f')).toEqual(sorted(after));
  await t.root.ok('follow', 'f', 't');
  expect(await shows('f')).toEqual(sorted(before));
});

test('several patches one after the other, the env changing the file between them', async () => {
  await t.envs('e');
  const users: string[] = [];
  for (let i = 0; i < 4; i++) {
    const user = `u${i}:x:${2000 + i}:${2000 + i}::/:/bin/sh`;
    users.push(user);
    await t.in('e', `echo ${user} >>etc/passwd`);
    await t.version({ ...FIRST, 'etc/passwd': passwd(DAEMON, `t${i}:x:${200 + i}:1::/:/bin/sh`) });
    await t.patch();
    const now = passwd(DAEMON, `t${i}:x:${200 + i}:1::/:/bin/sh`, ...users);
    expect(sorted(await t.out('e', 'cat etc/passwd'))).toEqual(sorted(now));
  }
  expect(await t.root.findings()).toEqual([]);
});

test('what an env makes of such a file stops nobody’s patch: it stays its own, and that is said', async () => {
  const envs = ['big', 'wordy', 'pipe', 'link', 'device', 'later', 'plain'];
  await t.envs(...envs);
  await t.in('big', 'truncate -s 1T etc/passwd var/lib/dpkg/status');
  await t.in('wordy', 'yes "" | head -n 2000000 >etc/passwd');
  await t.in('pipe', 'rm etc/passwd; mkfifo etc/passwd');
  await t.in('link', 'ln -sf /dev/zero etc/passwd');
  await t.in('device', 'rm etc/passwd; mknod etc/passwd c 1 5');
  await t.in('later', `echo ${ALICE} >>etc/passwd`);
  await t.version(SECOND);
  const patched = await t.patch();
  expect(patched.state).toBe('done');
  expect(await t.out('plain', 'cat etc/passwd')).toBe(SECOND['etc/passwd']);
  const why = (record: PatchRecord, env: string): string[] =>
    actionsOf(record, env).map((act) => `${act.what} ${act.path}: ${act.why}`);
  const tooLarge = 'it is too large to be merged: 1.00 TiB, where at most 16.0 MiB are read';
  expect(why(patched, 'big')).toEqual([
    `conflict /etc/passwd: ${tooLarge}`,
    `conflict /var/lib/dpkg/status: ${tooLarge}`,
  ]);
  expect(why(patched, 'wordy')).toEqual([
    'conflict /etc/passwd: it has too many lines to be merged: more than 500000',
  ]);
  for (const env of ['pipe', 'link', 'device']) {
    expect(why(patched, env)).toEqual(['conflict /etc/passwd: it is no regular file']);
  }
  expect(whatOf(patched, 'later')).toEqual(['merged /etc/passwd']);
  await t.in('later', 'truncate -s 1T etc/passwd');
  const back = await t.rollback();
  expect(back.state).toBe('done');
  expect(why(back, 'later')).toEqual([`conflict /etc/passwd: ${tooLarge}`]);
  expect(await t.out('plain', 'cat etc/passwd')).toBe(FIRST['etc/passwd']);
  expect(await t.out('big', 'stat -c %s etc/passwd')).toBe(`${2 ** 40}\n`);
});
