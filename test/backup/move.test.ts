/** An env is moved from one root to another, which are joined by two pipes. */
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import type { EnvMoved } from '../../src/services/move-env.ts';
import { KILL_STEP, runKilledAt } from '../support/damage/failpoints.ts';
import { BYREF, type Finished } from '../support/machine/program.ts';
import { TestRoot } from '../support/machine/root.ts';
import { SmallDisk } from '../support/machine/small-disk.ts';
import { CHANGE, changeableRoot, inEnv, shown } from './changed-env.ts';
import { shellTo } from './remote-shell.ts';

const CUT = new URL('cut.py', import.meta.url).pathname;
const FAILPOINTS_MAX = 60;
const MIB = 2 ** 20;
/** How far it is from one byte at which the connection is cut to the next, where few are sent. */
const CUT_STEP = process.env['BYREF_SOAK'] === undefined ? 23 : 1;

let [here, there] = [] as unknown as [TestRoot, TestRoot];

beforeEach(async () => {
  [here, there] = [await changeableRoot(), await TestRoot.create()];
  await inEnv(here, 'first', CHANGE);
});
afterEach(async () => {
  await here.dispose();
  await there.dispose();
});

const remoteShell = (before = '', each = false): string => shellTo(here, there, before, each);

const words = (shell: string, ...more: string[]): string[] => [
  ...['move', 'first', 'other', '--rsh', shell, '--remote-byref', BYREF, ...more],
];

const has = async (root: TestRoot, name = 'first'): Promise<boolean> =>
  (await root.json<EnvSummary[]>('list')).some((env) => env.name === name);

async function expectClean(): Promise<void> {
  for (const root of [here, there]) {
    await root.ok('gc');
    expect(await root.findings()).toEqual([]);
  }
}

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
  await refused(EXIT.unreachable, /ended early/, ...words('false'));
  await refused(EXIT.unreachable, /ended early/, ...words('/nothing/there'));
  await there.import('os', path.join(here.base, 'tree'), 'os');
  await there.create('first', 'os');
  await refused(EXIT.exists, /other: there is an env "first" already/, ...words(remoteShell()));
  await there.ok('destroy', 'first');
  await expectClean();
});

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
  const { bytes } = await here.json<EnvMoved>(...words(remoteShell(), '--keep'));
  await there.ok('destroy', 'first');
  const cut = (up: number, down: number): Promise<Finished> =>
    moveBadly(() => here.byref(...words(remoteShell(`python3 ${CUT} ${up} ${down}`))), before);
  const [sent, answers] = [[0, 3, 100, bytes >> 1], []] as [number[], number[]];
  // Hello comes before, and 5 bytes of each frame; then its end, and what confirms it.
  for (let n = bytes + 150; n < bytes + 500; n += 2 * CUT_STEP) sent.push(n);
  for (let n = 0; n < 120; n += CUT_STEP) answers.push(n);
  const codes = new Set<number>();
  for (const n of sent) codes.add((await cut(n, -1)).code);
  expect([...codes].sort()).toEqual([0, EXIT.unreachable]);
  codes.clear();
  for (const n of answers) codes.add((await cut(-1, n)).code);
  expect([...codes].sort()).toEqual([0, EXIT.unreachable]);
  expect(await shown(here, 'first')).toBe(before);
  await expectClean();
});

test('if the other side can’t be asked, the env stays here, and it is said', async () => {
  await there.import('os', path.join(here.base, 'tree'), 'os');
  // In the midst of what it says last, and of what it answers when it is asked.
  const { code, stderr } = await here.byref(...words(remoteShell(`python3 ${CUT} -1 40`, true)));
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
    if (both[1]) {
      expect(await shown(there, 'first')).toBe(before);
      const file = path.join(here.base, 'back');
      if (!both[0]) await there.ok('backup', 'first', file);
      await there.ok('destroy', 'first');
      if (!both[0]) await here.ok('restore', file, '--same-identity');
    }
    expect(await shown(here, 'first')).toBe(before);
    await expectClean();
    if (code === 0) return;
  }
  expect.unreachable('it came by more failpoints than expected');
});
