/** Backups: what an env is, and has of its own, in a file, of which the same or another machine makes an env. */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import { intoFile, pack } from '../../src/manager/backup/pack.ts';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import type { EnvBackedUp } from '../../src/services/backup-env.ts';
import type { BackupVerified } from '../../src/services/verify-backup.ts';
import { KILL_STEP, runKilledAt } from '../support/damage/failpoints.ts';
import { COUNTS, expectOneMoment, whileNamesAreMade } from '../support/machine/one-moment.ts';
import { BYREF, sh } from '../support/machine/program.ts';
import { randomOf } from '../support/machine/random.ts';
import { TestRoot } from '../support/machine/root.ts';
import { CHANGE, changeableRoot, inEnv, shown, treeOf } from './changed-env.ts';

const FAILPOINTS_MAX = 40;
/** Bits that are changed in a backup, one at a time. */
const FLIPS = process.env['BYREF_SOAK'] === undefined ? 12 : 500;

let root: TestRoot;
let file: string;

beforeEach(async () => {
  root = await changeableRoot();
  file = path.join(root.base, 'first.backup');
});
afterEach(() => root.dispose());

const names = async (at = root): Promise<string[]> =>
  (await at.json<EnvSummary[]>('list')).map(({ name }) => name);

/** A second machine. */
async function elsewhere(work: (other: TestRoot) => Promise<void>): Promise<void> {
  const other = await TestRoot.create();
  try {
    await work(other);
  } finally {
    await other.dispose();
  }
}

test('an env is made again of a backup, under its own name once that is free', async () => {
  await inEnv(root, 'first', CHANGE);
  await root.ok('set', 'first', 'limits.memory=64MiB', 'ports=8080:80');
  const before = await shown(root, 'first');
  const made = await root.json<EnvBackedUp>('backup', 'first', file);
  expect(made).toMatchObject({
    name: 'first',
    files: 8,
    frozenMs: null,
    bytes: statSync(file).size,
  });
  expect(made.bytes).toBeLessThan(20_000);
  const restored = await root.byref('restore', file, 'second');
  expect(restored.stderr).toContain('it has none of the ports that it had: 8080:80');
  expect(await shown(root, 'second')).toBe(before);
  expect((await root.info('second')).settings).toEqual({ 'limits.memory': '64MiB' });
  expect(await root.byref('restore', file)).toMatchObject({ code: EXIT.exists });
  await root.ok('destroy', 'first');
  expect(await root.ok('restore', file, '--same-identity')).toMatch(/^restored first /);
  expect(await shown(root, 'first')).toBe(before);
  expect((await root.info('first')).settings).toMatchObject({ ports: '8080:80' });
  expect(await root.findings()).toEqual([]);
  expect(readdirSync(path.join(root.path, 'backup'))).toEqual([]);
});

test('its identity is another one, or stays', async () => {
  const identity = 'cat "$1/etc/hostname" "$1/etc/machine-id"';
  const first = await inEnv(root, 'first', identity);
  await root.ok('backup', 'first', file);
  await root.ok('restore', file, 'second');
  await root.ok('restore', file, 'third', '--same-identity');
  const [name, id] = (await inEnv(root, 'second', identity)).split('\n');
  expect(name).toBe('second');
  expect(id).not.toBe(first.split('\n')[1]);
  expect(await inEnv(root, 'third', identity)).toBe(first.replace('first', 'third'));
});

test('one that was never mounted gets an identity at its first mount, whatever is kept', async () => {
  await root.ok('backup', 'first', file);
  await root.ok('restore', file, 'second', '--same-identity');
  const identity = await inEnv(root, 'second', 'cat "$1/etc/hostname" "$1/etc/machine-id"');
  expect(identity).toMatch(/^second\n[0-9a-f]{32}\n$/);
});

test('patches reach what was restored, as they reach the env that it was made of', async () => {
  await inEnv(root, 'first', 'echo own >"$1/usr/lib/one"; chmod 600 "$1/usr/lib/two"');
  await root.ok('backup', 'first', file);
  await root.ok('restore', file, 'second');
  for (const name of ['one', 'two'])
    writeFileSync(path.join(treeOf(root), 'usr/lib', name), 'patched');
  await root.import('os', treeOf(root));
  await root.ok('patch', 'os');
  const look = 'cat "$1/usr/lib/one" "$1/usr/lib/two"; stat -c %a "$1/usr/lib/two"';
  expect(await inEnv(root, 'second', look)).toBe('own\npatched600\n');
  await root.ok('rollback', 'os');
  expect(await inEnv(root, 'second', look)).toBe('own\ntwo600\n');
  expect(await root.findings()).toEqual([]);
});

test('another machine makes it of the same version, whatever its template is called there', async () => {
  await inEnv(root, 'first', CHANGE);
  const before = await shown(root, 'first');
  await root.ok('backup', 'first', file);
  await elsewhere(async (other) => {
    await other.import('first-thing', other.directory('nothing'), 'os');
    expect(await other.byref('restore', file)).toMatchObject({ code: EXIT.notFound });
    expect((await other.byref('restore', file)).stderr).toMatch(/os@1 \(identity [0-9a-f]{16}/);
    await other.import('system', treeOf(root), 'os');
    await other.ok('restore', file);
    expect(await shown(other, 'first')).toBe(before);
    expect((await other.info('first')).stack).toMatchObject([{ template: 'system', version: 1 }]);
    expect(await other.findings()).toEqual([]);
  });
});

test('a backup with templates needs none', async () => {
  await inEnv(root, 'first', CHANGE);
  const app = root.directory('app');
  mkdirSync(path.join(app, 'opt'));
  writeFileSync(path.join(app, 'opt/tool'), 'tool');
  await root.import('tool', app, 'app');
  await root.create('both', 'os', 'tool');
  await inEnv(root, 'both', `${CHANGE}\necho mine >>opt/tool`);
  const before = await shown(root, 'both');
  await root.ok('backup', 'both', file, '--with-templates');
  expect(await root.json<BackupVerified>('backup', 'verify', file)).toMatchObject({
    ...{ name: 'both', withTemplates: true, files: 9 },
    stack: [
      { template: 'os', version: 1 },
      { template: 'tool', version: 1 },
    ],
  });
  await elsewhere(async (other) => {
    await other.ok('restore', file, 'here');
    expect(await shown(other, 'here')).toBe(before);
    expect(await inEnv(other, 'here', 'cat "$1/opt/tool"')).toBe('toolmine\n');
    const { stack } = await other.info('here');
    expect(stack).toMatchObject([{ template: 'os' }, { template: 'tool' }]);
    expect(await other.findings()).toEqual([]);
  });
});

test('files of versions that are gone come along', async () => {
  await inEnv(
    root,
    'first',
    'mv "$1/usr/lib/one" "$1/home/one"; ln "$1/usr/lib/two" "$1/home/two"',
  );
  for (const name of ['one', 'two'])
    writeFileSync(path.join(treeOf(root), 'usr/lib', name), 'patched');
  await root.import('os', treeOf(root));
  await root.ok('patch', 'os');
  const look = 'cd "$1"; cat home/one home/two; ls usr/lib; cat usr/lib/two';
  const before = await inEnv(root, 'first', look);
  await root.ok('backup', 'first', file);
  await elsewhere(async (other) => {
    await other.import('os', treeOf(root), 'os');
    await other.ok('restore', file);
    expect(await inEnv(other, 'first', look)).toBe(before);
    expect(await other.findings()).toEqual([]);
  });
});

test('an env that followed its template is pinned where that is elsewhere', async () => {
  await root.ok('backup', 'first', file);
  writeFileSync(path.join(treeOf(root), 'usr/lib/one'), 'patched');
  await root.import('os', treeOf(root));
  await root.ok('patch', 'os');
  const { stderr } = await root.byref('restore', file, 'second');
  expect(stderr).toContain('it is pinned to os@1, which it saw');
  expect(await inEnv(root, 'second', 'cat "$1/usr/lib/one"')).toBe('one');
  await root.ok('follow', 'second', 'os');
  expect(await inEnv(root, 'second', 'cat "$1/usr/lib/one"')).toBe('patched');
});

test('files that a patch set aside are set aside again', async () => {
  await inEnv(root, 'first', 'echo own >"$1/usr/lib/one"');
  writeFileSync(path.join(treeOf(root), 'usr/lib/one'), 'patched');
  await root.import('os', treeOf(root));
  await root.ok('patch', 'os', '--take', '/usr/lib/one');
  await root.ok('backup', 'first', file);
  await root.ok('destroy', 'first');
  await root.ok('restore', file);
  expect(await inEnv(root, 'first', 'cat "$1/usr/lib/one"')).toBe('patched');
  await root.ok('rollback', 'os');
  expect(await inEnv(root, 'first', 'cat "$1/usr/lib/one"')).toBe('own\n');
  expect(await root.findings()).toEqual([]);
});

test('an env that is mounted is backed up as of one moment, and goes on', async () => {
  const mountpoint = await root.mount('first');
  await whileNamesAreMade(root, mountpoint, async () => {
    const { frozenMs } = await root.json<EnvBackedUp>('backup', 'first', file);
    expect(frozenMs).toBeGreaterThan(0);
  });
  await root.ok('restore', file, 'second');
  expectOneMoment(await inEnv(root, 'second', COUNTS));
  expect(await root.findings()).toEqual([]);
});

/**
 * Waits until a backup trusts the times of what was just written: the driver itself moves them while it takes name tags from files whose
 * records are on disk.
 */
async function settle(mountpoint: string): Promise<void> {
  expect(await sh('sync "$1"/home/*', [mountpoint])).toMatchObject({ code: 0 });
  await sleep(5000);
}

test('an incremental backup has only what changed since, by whatever way', async () => {
  const mountpoint = await root.mount('first');
  const write = `cd "$1"; for i in 1 2 3 4; do head -c 300000 /dev/urandom >home/$i; done; rm usr/lib/three`;
  expect(await sh(write, [mountpoint])).toMatchObject({ code: 0 });
  await settle(mountpoint);
  const [one, two, three] = ['one', 'two', 'three'].map((name) => path.join(root.base, name));
  const backup = (...words: string[]): Promise<EnvBackedUp> =>
    root.json('backup', 'first', ...words);
  const whole = await backup(one!);
  expect(whole.bytes).toBeGreaterThan(1_200_000);
  // A store through a mapping that was there before.
  const change = `cd "$1"; python3 - <<'END'
import mmap
with open('home/1', 'r+b') as file:
    pages = mmap.mmap(file.fileno(), 0)
    pages[4096:4101] = b'store'
END
    echo more >>home/2; mv home/3 home/moved; chmod 600 home/4; echo new >home/new`;
  expect(await sh(change, [mountpoint])).toMatchObject({ code: 0 });
  await settle(mountpoint);
  const second = await backup(two!, '--incremental-from', one!);
  expect(second.files - second.unchanged).toBeLessThanOrEqual(3);
  expect(second.bytes).toBeGreaterThan(600_000);
  expect(second.bytes).toBeLessThan(700_000);
  const third = await backup(three!, '--incremental-from', two!);
  expect(third).toMatchObject({ files: second.files, unchanged: second.files });
  expect(third.bytes).toBeLessThan(20_000);
  await root.umount('first');
  const before = await shown(root, 'first');
  expect(await root.json('backup', 'verify', three!)).toMatchObject({ base: second.backup });
  await root.ok('restore', three!, 'second', '--base', one!, '--base', two!);
  expect(await shown(root, 'second')).toBe(before);
  for (const bases of [[], ['--base', one!], ['--base', two!]]) {
    const { code, stderr } = await root.byref('restore', three!, 'third', ...bases);
    expect([code, stderr]).toEqual([
      EXIT.usage,
      expect.stringMatching(/has only what changed since the backup [0-9a-f]{32}/),
    ]);
  }
  await root.create('other', 'os');
  expect(await root.byref('backup', 'other', file, '--incremental-from', one!)).toMatchObject({
    code: EXIT.usage,
  });
  expect(await names()).toEqual(['first', 'second', 'other']);
  expect(await root.findings()).toEqual([]);
  expect(readdirSync(path.join(root.path, 'backup'))).toEqual([]);
});

test('it goes through pipes', async () => {
  await inEnv(root, 'first', CHANGE);
  const before = await shown(root, 'first');
  const words = (...all: string[]): string => [BYREF, ...all].join(' ');
  const script = `${words('backup', 'first', '-')} | ${words('restore', '-', 'second')}`;
  const { code, stderr } = await sh(script, [], { env: root.env });
  expect(code, stderr).toBe(0);
  expect(await shown(root, 'second')).toBe(before);
  const verified = await sh(
    `${words('backup', 'first', '-')} | ${words('backup', 'verify', '-')}`,
    [],
    {
      env: root.env,
    },
  );
  expect(verified).toMatchObject({ code: 0 });
  expect(verified.stdout).toMatch(/is whole: first, made /);
});

test('what is no whole backup is refused, with the place, and nothing is made', async () => {
  await inEnv(root, 'first', CHANGE);
  await root.ok('backup', 'first', file);
  const good = readFileSync(file);
  const next = randomOf(19);
  const refused = async (code: number, what: RegExp): Promise<void> => {
    for (const words of [
      ['restore', file, 'second'],
      ['backup', 'verify', file],
    ]) {
      const { code: seen, stderr } = await root.byref(...words);
      expect([seen, stderr]).toEqual([code, expect.stringMatching(what)]);
      expect(stderr).not.toMatch(/ at .*:\d+:\d+/);
    }
  };
  for (let i = 0; i < FLIPS; i++) {
    const bytes = Buffer.from(good);
    const at = next(bytes.length);
    bytes[at]! ^= 1 << next(8);
    writeFileSync(file, bytes);
    const { code, stderr } = await root.byref('restore', file, 'second');
    expect([at, code, stderr]).toEqual([
      at,
      expect.toBeOneOf([EXIT.corrupt, EXIT.badInput]),
      expect.stringMatching(/is damaged: (between its bytes 0 and|its last)|ends early/),
    ]);
  }
  writeFileSync(file, good);
  truncateSync(file, good.length - 1);
  await refused(EXIT.badInput, /ends early, or is no backup of an env/);
  truncateSync(file, 0);
  await refused(EXIT.badInput, /ends early/);
  symlinkSync('/dev/null', path.join(root.base, 'null'));
  for (const what of ['/dev/null', path.join(root.base, 'null'), root.base])
    expect(await root.byref('restore', what)).toMatchObject({ code: EXIT.badInput });
  for (const what of ['', path.join(root.base, 'nothing')])
    expect(await root.byref('restore', what)).toMatchObject({ code: EXIT.notFound });
  expect(await names()).toEqual(['first']);
  expect(readdirSync(path.join(root.path, 'backup'))).toEqual([]);
  expect(await root.findings()).toEqual([]);
});

test('a backup of another format is refused', async () => {
  await root.ok('backup', 'first', file);
  const dir = root.directory('unpacked');
  const unpack = spawnSync('sh', ['-c', `zstd -dcq <'${file}' | tar -x -C '${dir}'`]);
  expect(unpack.status).toBe(0);
  const manifest = JSON.parse(readFileSync(path.join(dir, 'backup.json'), 'utf8')) as object;
  writeFileSync(path.join(dir, 'backup.json'), JSON.stringify({ ...manifest, format: 2 }));
  const fd = openSync(file, 'w');
  await pack(dir, ['backup.json', 'delta.jsonl'], intoFile(fd), new AbortController().signal);
  closeSync(fd);
  const { code, stderr } = await root.byref('restore', file, 'second');
  expect([code, stderr]).toEqual([
    EXIT.badInput,
    expect.stringContaining('has the format 2 of another byref; this one reads 1'),
  ]);
});

test('targets that are there already, or can’t be', async () => {
  writeFileSync(file, 'before');
  expect(await root.byref('backup', 'nobody', file)).toMatchObject({ code: EXIT.notFound });
  expect(readFileSync(file, 'utf8')).toBe('before');
  expect(await root.byref('backup', 'first', root.base)).toMatchObject({ code: EXIT.badInput });
  await root.ok('backup', 'first', file);
  await root.ok('backup', 'verify', file);
});

test.each(['backup', 'restore'])(
  'killed at any point of a %s, all is whole or not there',
  { timeout: 300_000 },
  async (verb) => {
    await inEnv(root, 'first', CHANGE);
    const before = await shown(root, 'first');
    if (verb === 'restore') await root.ok('backup', 'first', file, '--with-templates');
    const mountpoint = verb === 'backup' ? await root.mount('first') : null;
    const words = verb === 'backup' ? ['backup', 'first', file] : ['restore', file, 'second'];
    for (let n = 1; n < FAILPOINTS_MAX; n += KILL_STEP) {
      const { code } = await runKilledAt(root, `*:${n}`, words);
      if (mountpoint !== null)
        expect(await sh('timeout 20 touch "$1/etc/alive"', [mountpoint])).toMatchObject({
          code: 0,
        });
      if (verb === 'backup' && existsSync(file)) await root.ok('backup', 'verify', file);
      if ((await names()).includes('second')) {
        expect(await shown(root, 'second')).toBe(before);
        await root.ok('destroy', 'second');
      }
      await root.create('next', 'os');
      await root.ok('destroy', 'next');
      expect(await root.findings()).toEqual([]);
      if (code !== 0) continue;
      expect(n).toBeGreaterThan(2);
      expect(readdirSync(path.join(root.path, 'backup'))).toEqual([]);
      return;
    }
    expect.unreachable('it came by more failpoints than expected');
  },
);
