/** An env is moved from one root to another, which are joined by two pipes. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import type { IncomingMove } from '../../src/manager/moves/incoming.ts';
import type { EnvMoved } from '../../src/services/move-env.ts';
import type { TemplateDetails } from '../../src/services/show-template.ts';
import { KILL_STEP, runKilledAt } from '../support/damage/failpoints.ts';
import { BYREF, type Finished } from '../support/machine/program.ts';
import { randomOf } from '../support/machine/random.ts';
import { TestRoot } from '../support/machine/root.ts';
import { SmallDisk } from '../support/machine/small-disk.ts';
import { CHANGE, changeableRoot, inEnv, shown, treeOf } from './changed-env.ts';
import { shellTo } from './remote-shell.ts';

const CUT = new URL('cut.py', import.meta.url).pathname;
const FAILPOINTS_MAX = 90;
const MIB = 2 ** 20;
/** How far it is from one byte at which the connection is cut to the next, where few are sent. */
const CUT_STEP = process.env['BYREF_SOAK'] === undefined ? 23 : 1;

/** How many moves are cut, up to six times each. */
const CUTS = process.env['BYREF_SOAK'] === undefined ? 4 : 60;
const SEED = 20_261_201;

let [here, there] = [] as unknown as [TestRoot, TestRoot];

beforeEach(async () => {
  [here, there] = [await changeableRoot(), await TestRoot.create()];
  await inEnv(here, 'first', CHANGE);
});
afterEach(async () => {
  await here.dispose();
  await there.dispose();
});

const remoteShell = (before = '', later = ''): string => shellTo(here, there, before, later);

const words = (shell: string, ...more: string[]): string[] => [
  ...['move', 'first', 'other', '--rsh', shell, '--remote-byref', BYREF, ...more],
];

const has = async (root: TestRoot, name = 'first'): Promise<boolean> =>
  (await root.json<EnvSummary[]>('list')).some((env) => env.name === name);

async function expectClean(): Promise<void> {
  for (const root of [here, there]) {
    await collectGarbage(root);
    expect(await root.findings()).toEqual([]);
  }
}

/** A driver that ends just when it is asked what it has in use says nothing. */
const collectGarbage = (root: TestRoot): Promise<void> =>
  expect.poll(async () => (await root.byref('gc')).code, { timeout: 20_000 }).toBe(0);

test('an env is moved with what the other side lacks, and with less when it lacks less', async () => {
  await here.create('second', 'os');
  const before = await shown(here, 'first');
  const identity = 'cat "$1/etc/hostname" "$1/etc/machine-id"';
  const own = await inEnv(here, 'first', identity);
  const moved = await here.json<EnvMoved>(...words(remoteShell()));
  expect(moved).toMatchObject({
    ...{ name: 'first', host: 'other', there: { name: 'first', pid: null } },
    ...{ moved: true, versions: ['os@1'] },
  });
  expect([await has(here), await has(there)]).toEqual([false, true]);
  expect(await shown(there, 'first')).toBe(before);
  expect(await inEnv(there, 'first', identity)).toBe(own);
  await expectClean();
  // A copy of one that is mounted, which stays.
  await inEnv(here, 'second', CHANGE);
  const mountpoint = await here.mount('second');
  const [, , host, ...more] = words(remoteShell(), '--keep');
  const copied = await here.json<EnvMoved>('move', 'second', host!, 'third', ...more);
  expect(copied).toMatchObject({ there: { name: 'third' }, moved: false, versions: [] });
  expect(copied.bytes).toBeLessThan(moved.bytes);
  expect((await here.info('second')).mountpoint).toBe(mountpoint);
  await here.umount('second');
  expect(await shown(there, 'third')).toBe(await shown(here, 'second'));
  expect(await inEnv(there, 'third', identity)).not.toBe(await inEnv(here, 'second', identity));
  await expectClean();
});

test('what can’t be, is refused on both sides, and nothing is changed', async () => {
  const refused = async (code: number, what: RegExp, ...all: string[]): Promise<void> => {
    const { code: seen, stderr } = await here.byref(...all);
    expect([seen, stderr]).toEqual([code, expect.stringMatching(what)]);
    expect(await has(here)).toBe(true);
  };
  await here.ok('snapshot', 'first', 'one');
  await refused(EXIT.busy, /first has snapshots/, ...words(remoteShell()));
  await here.ok('snapshot', 'rm', 'first', 'one');
  await refused(EXIT.badInput, /is no byref/, ...words('echo'));
  for (const shell of ['', "'", ' ']) await refused(EXIT.usage, /--rsh/, ...words(shell));
  await refused(EXIT.usage, /is no host/, 'move', 'first', '--', '-oProxyCommand=false');
  await refused(EXIT.unreachable, /^byref: the connection.* ended early/, ...words('false'));
  await refused(EXIT.unreachable, /ended early/, ...words('/nothing/there'));
  await there.import('os', path.join(here.base, 'tree'), 'os');
  await there.create('first', 'os');
  await refused(EXIT.exists, /other: there is an env "first" already/, ...words(remoteShell()));
  await there.ok('destroy', 'first');
  await expectClean();
});

/** Moves the env, or makes a copy of it, and returns how many bytes passed in both directions. */
async function passed(...more: string[]): Promise<[number, number]> {
  const counts = path.join(here.base, 'counts');
  await here.ok(...words(remoteShell(`env CUT_COUNTS=${counts} python3 ${CUT} -1 -1`), ...more));
  const [up = 0, down = 0] = readFileSync(counts, 'utf8').trim().split(' ').map(Number);
  return [up, down];
}

/** Moves the env while something goes wrong; it is whole on one of the sides then, and is moved back. */
async function moveBadly(run: () => Promise<Finished>, before: string): Promise<Finished> {
  const ended = await run();
  const both = [await has(here), await has(there)];
  expect(both, ended.stderr).toEqual([ended.code !== 0, ended.code === 0]);
  if (ended.code === 0) {
    expect(await shown(there, 'first')).toBe(before);
    const file = path.join(here.base, 'back');
    await there.ok('backup', 'first', file);
    await there.ok('destroy', 'first');
    await here.ok('restore', file, '--same-identity');
  }
  return ended;
}

test('a connection that is cut anywhere', { timeout: 600_000 }, async () => {
  const before = await shown(here, 'first');
  await there.import('os', path.join(here.base, 'tree'), 'os');
  const [up, down] = await passed('--keep');
  await there.ok('destroy', 'first');
  const cut = (up: number, down: number): Promise<Finished> =>
    moveBadly(() => here.byref(...words(remoteShell(`python3 ${CUT} ${up} ${down}`))), before);
  const [sent, answers] = [[0, 3, 100, up >> 1], []] as [number[], number[]];
  // What ends the round, and what confirms it, comes last.
  for (let n = up - 300; n < up + 150; n += 3 * CUT_STEP) sent.push(n);
  for (let n = 0; n < down + 40; n += CUT_STEP) answers.push(n);
  const codes = new Set<number>();
  for (const n of sent) codes.add((await cut(n, -1)).code);
  expect([...codes].sort()).toEqual([0, EXIT.unreachable]);
  codes.clear();
  for (const n of answers) codes.add((await cut(-1, n)).code);
  expect([...codes].sort()).toEqual([0, EXIT.unreachable]);
  expect(await shown(here, 'first')).toBe(before);
  await expectClean();
});

test('what is cut anywhere goes on where it stopped', { timeout: 600_000 }, async () => {
  await inEnv(here, 'first', 'head -c 300000 /dev/urandom >"$1/home/large"');
  const before = await shown(here, 'first');
  const [up, down] = await passed('--keep');
  await there.ok('destroy', 'first');
  await forgetTemplate();
  const random = randomOf(SEED);
  for (let n = 0; n < CUTS; n++) {
    // Most of what goes up, in several pieces; now and then one that comes down.
    let cuts = 0;
    for (let isDone = false, resume = false; !isDone; cuts++) {
      const place = random(4) === 0 ? [-1, random(down)] : [random(up), -1];
      const cut = cuts < 6 ? `python3 ${CUT} ${place.join(' ')}` : '';
      const more = resume ? ['--resume'] : [];
      const { code, stderr } = await here.byref(...words(remoteShell(cut), ...more));
      isDone = code === 0;
      expect([await has(here), await has(there)], stderr).toEqual([!isDone, isDone]);
      if (!isDone) expect(code, stderr).toBe(EXIT.unreachable);
      resume = true;
    }
    expect(await shown(there, 'first')).toBe(before);
    await comeBack();
    if (n % 2 === 0) await forgetTemplate();
    await expectClean();
  }
  expect(readdirSync(path.join(there.path, 'moves/in'))).toEqual([]);
  expect(readdirSync(path.join(here.path, 'moves/out'))).toEqual([]);
});

test('what was sent is not sent again', async () => {
  await inEnv(here, 'first', 'head -c 3000000 /dev/urandom >"$1/home/large"');
  const [up] = await passed('--keep');
  await there.ok('destroy', 'first');
  const cut = remoteShell(`python3 ${CUT} ${up - 100_000} -1`);
  expect(await here.byref(...words(cut))).toMatchObject({ code: EXIT.unreachable });
  const [standing] = await there.json<IncomingMove[]>('receive', '--list');
  expect(standing).toMatchObject({ env: 'first', active: false });
  expect(standing!.bytes).toBeGreaterThan(2_850_000);
  const resumed = await here.json<EnvMoved>(...words(remoteShell(), '--resume'));
  expect(resumed).toMatchObject({ moved: true, resumed: true });
  expect(resumed.bytes).toBeLessThan(150_000);
  expect(await there.json('receive', '--list')).toEqual([]);
  // There is nothing more to go on with.
  await comeBack();
  const again = await here.byref(...words(remoteShell(), '--resume'));
  expect(again).toMatchObject({ code: EXIT.notFound });
});

test('one that changed since is sent as it is', async () => {
  await inEnv(here, 'first', 'head -c 3000000 /dev/urandom >"$1/home/large"');
  const [up] = await passed('--keep');
  await there.ok('destroy', 'first');
  const cut = remoteShell(`python3 ${CUT} ${up - 100_000} -1`);
  expect(await here.byref(...words(cut))).toMatchObject({ code: EXIT.unreachable });
  await inEnv(here, 'first', 'cd "$1/home"; rm large; echo more >later; echo x >>alice/file');
  const before = await shown(here, 'first');
  const resumed = await here.json<EnvMoved>(...words(remoteShell(), '--resume'));
  expect(resumed).toMatchObject({ resumed: true, rounds: 2 });
  expect(await shown(there, 'first')).toBe(before);
  await expectClean();
});

test('one that was patched since goes on with the new version', async () => {
  await inEnv(here, 'first', 'head -c 2000000 /dev/urandom >"$1/home/large"');
  const [up] = await passed('--keep');
  await there.ok('destroy', 'first');
  const cut = remoteShell(`python3 ${CUT} ${up - 100_000} -1`);
  expect(await here.byref(...words(cut))).toMatchObject({ code: EXIT.unreachable });
  writeFileSync(path.join(treeOf(here), 'usr/lib/six'), 'six');
  await here.import('os', treeOf(here));
  await here.ok('patch', 'os');
  const before = await shown(here, 'first');
  const resumed = await here.json<EnvMoved>(...words(remoteShell(), '--resume'));
  expect(resumed).toMatchObject({ versions: ['os@2'], objects: 1, rounds: 2 });
  expect(await shown(there, 'first')).toBe(before);
  expect(before).toContain('usr/lib64/six');
  await expectClean();
});

test('what stands there is listed, removed, and goes when another one begins', async () => {
  const cut = (): string => remoteShell(`python3 ${CUT} 2500 -1`);
  const standing = (): Promise<IncomingMove[]> => there.json<IncomingMove[]>('receive', '--list');
  expect(await here.byref(...words(cut()))).toMatchObject({ code: EXIT.unreachable });
  const [first] = await standing();
  expect(await here.byref(...words(cut()))).toMatchObject({ code: EXIT.unreachable });
  const [second, ...others] = await standing();
  expect(others).toEqual([]);
  expect(second!.move).not.toBe(first!.move);
  const unknown = await there.byref('receive', '--remove', first!.move);
  expect(unknown).toMatchObject({ code: EXIT.notFound });
  await there.ok('receive', '--remove', second!.move);
  expect(await standing()).toEqual([]);
  // Everything is sent again then.
  const before = await shown(here, 'first');
  await here.ok(...words(remoteShell(), '--resume'));
  expect(await shown(there, 'first')).toBe(before);
});

test('of a version, those objects are sent that the other side lacks', async () => {
  const large = path.join(treeOf(here), 'usr/lib/large');
  writeFileSync(large, randomBytes(MIB));
  await here.import('os', treeOf(here));
  await there.import('another', treeOf(here), 'os');
  for (const name of ['one', 'five'])
    writeFileSync(path.join(treeOf(here), 'usr/lib', name), 'new');
  writeFileSync(path.join(treeOf(here), 'usr/lib/six'), 'six');
  await here.import('os', treeOf(here));
  await here.create('third', 'os@3');
  const moved = await here.json<EnvMoved>('move', 'third', ...words(remoteShell()).slice(2));
  expect(moved).toMatchObject({ versions: ['os@3'], objects: 2, moved: true });
  expect(moved.bytes).toBeLessThan(20_000);
  expect(await identityOf(there, 'os')).toBe(await identityOf(here, 'os@3'));
  const env = await there.mount('third');
  expect(readFileSync(path.join(env, 'usr/lib/large')).equals(readFileSync(large))).toBe(true);
  await there.umount('third');
  await expectClean();
});

const identityOf = async (root: TestRoot, ref: string): Promise<string | null> =>
  (await root.json<TemplateDetails>('template', 'show', ref)).versions.at(-1)!.identity;

/** Takes the env, and what came along with it, from there to here again. */
async function comeBack(): Promise<void> {
  const file = path.join(here.base, 'back');
  await there.ok('backup', 'first', file);
  await there.ok('destroy', 'first');
  await here.ok('restore', file, '--same-identity');
  rmSync(file);
}

/** Removes the template there, so that it has to come again. */
async function forgetTemplate(): Promise<void> {
  // A receiver that was killed has left an env.
  await collectGarbage(there);
  await there.ok('template', 'rm', 'os');
  await collectGarbage(there);
}

test('apps come along, each as the version that it is here', async () => {
  const app = here.directory('app');
  mkdirSync(path.join(app, 'usr/share/app'), { recursive: true });
  writeFileSync(path.join(app, 'usr/share/app/file'), 'of the app');
  await here.import('app', app, 'app');
  await here.create('both', 'os', 'app');
  await inEnv(here, 'both', 'echo own >>"$1/usr/share/app/file"');
  const before = await shown(here, 'both');
  const [, , ...rest] = words(remoteShell());
  const moved = await here.json<EnvMoved>('move', 'both', ...rest);
  expect(moved.versions).toEqual(['os@1', 'app@1']);
  for (const name of ['os', 'app'])
    expect(await identityOf(there, name)).toBe(await identityOf(here, name));
  expect(await shown(there, 'both')).toBe(before);
  await expectClean();
});

test('if the other side can’t be asked, the env stays here, and it is said', async () => {
  await there.import('os', path.join(here.base, 'tree'), 'os');
  const [, down] = await passed('--keep');
  await there.ok('destroy', 'first');
  // In the midst of what it says last, and of what it answers when it is asked.
  const cut = (n: number): string => `python3 ${CUT} -1 ${n}`;
  const shell = remoteShell(cut(down - 20), cut(20));
  const { code, stderr } = await here.byref(...words(shell));
  expect([code, stderr]).toEqual([
    EXIT.unreachable,
    expect.stringMatching(/can't be asked whether it has first\n {2}hint: Look there/),
  ]);
  expect([await has(here), await has(there)]).toEqual([true, true]);
});

test.each(['here', 'there'])('a disk that is full %s', { timeout: 120_000 }, async (where) => {
  const disk = new SmallDisk(64 * MIB);
  try {
    const small =
      where === 'here' ? await changeableRoot(disk.place) : await TestRoot.create({}, disk.place);
    try {
      const [from, to] = where === 'here' ? [small, there] : [here, small];
      await inEnv(from, 'first', 'head -c 3000000 /dev/urandom >"$1/home/large"');
      const sum = 'sha256sum <"$1/home/large"';
      const before = await inEnv(from, 'first', sum);
      disk.fill(MIB);
      const move = (): Promise<Finished> => from.byref(...words(shellTo(from, to)));
      expect(await move()).toMatchObject({ code: EXIT.noSpace });
      expect([await has(from), await has(to)]).toEqual([true, false]);
      expect(await to.json('receive', '--list')).toEqual([]);
      disk.empty();
      expect(await inEnv(from, 'first', sum)).toBe(before);
      expect(await move()).toMatchObject({ code: 0 });
      expect(await inEnv(to, 'first', sum)).toBe(before);
      for (const root of [from, to]) expect(await root.findings()).toEqual([]);
    } finally {
      await small.dispose();
    }
  } finally {
    disk.dispose();
  }
});

test.each(['here', 'there'])('killed at any point %s', { timeout: 600_000 }, async (where) => {
  const before = await shown(here, 'first');
  for (let n = 1; n < FAILPOINTS_MAX; n += KILL_STEP) {
    const killed = where === 'here' ? '' : `env BYREF_FAILPOINT='*:${n}'`;
    const all = words(remoteShell(killed));
    const { code } = await (where === 'here'
      ? runKilledAt(here, `*:${n}`, all)
      : here.byref(...all));
    // The other side ends by itself.
    await expect.poll(() => there.processes(), { timeout: 20_000 }).toEqual([]);
    const both = [await has(here), await has(there)];
    expect(both).toContain(true);
    if (both[0] && both[1]) {
      // It was killed before it could remove the one here, which nobody does by himself.
      const refused = await here.byref(...words(remoteShell(), '--resume'));
      expect(refused).toMatchObject({ code: EXIT.exists });
      await there.ok('destroy', 'first');
    } else if (both[0]) {
      const resumed = await here.byref(...words(remoteShell(), '--resume'));
      if (resumed.code === EXIT.notFound) await here.ok(...words(remoteShell()));
      else expect(resumed, resumed.stderr).toMatchObject({ code: 0 });
    }
    if (await has(there)) {
      expect(await shown(there, 'first')).toBe(before);
      await comeBack();
    }
    await forgetTemplate();
    expect(await shown(here, 'first')).toBe(before);
    await expectClean();
    if (code === 0) return;
  }
  expect.unreachable('it came by more failpoints than expected');
});
