/** Envs that run are moved to another root. */

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../src/base/exit-codes.ts';
import type { EnvSummary } from '../../src/manager/envs/summary.ts';
import { isHeld } from '../../src/native/lock-file.ts';
import type { EnvMoved } from '../../src/services/move-env.ts';
import { shellTo } from '../backup/remote-shell.ts';
import { KILL_STEP, runKilledAt } from '../support/damage/failpoints.ts';
import { BYREF } from '../support/machine/program.ts';
import { RunRoot } from './run-root.ts';

let [here, there] = [] as unknown as [RunRoot, RunRoot];

beforeAll(() => RunRoot.prepare());
beforeEach(async () => {
  [here, there] = [await RunRoot.create(), await RunRoot.create()];
  await here.root.ok('create', 'web', '--os', 'tiny', '--volume', '/srv');
  await here.root.ok('start', 'web');
  await here.exec('web', 'echo root >/root/file; echo volume >/srv/file');
});
afterEach(async () => {
  await here.dispose();
  await there.dispose();
});

const LOOK = 'cat /root/file /srv/file /etc/machine-id; hostname';

test('it runs there, with its volumes and identity, and is gone here', async () => {
  const before = await here.exec('web', LOOK);
  const shell = shellTo(here.root, there.root);
  const words = ['move', 'web', 'other', '--rsh', shell, '--remote-byref', BYREF, '--fast'];
  const moved = await here.root.json<EnvMoved>(...words);
  const { pid } = await there.root.info('web');
  expect(moved).toMatchObject({ there: { name: 'web', pid }, moved: true, versions: [] });
  expect(await there.exec('web', LOOK)).toBe(before);
  expect(await here.root.json('list')).toEqual([]);
  expect(here.leftovers()).toEqual([]);
});

/** Changes files for as long as it runs: counts in one, and writes another one anew each time. */
const WRITER = `n=0; while :; do n=$((n + 1)); echo $n >>/root/log; echo $n >/root/now.new; mv /root/now.new /root/now; done`;
/** The log has all numbers, and what was written last is at most one of them behind or ahead. */
const JUDGE = `n=0; while read -r i; do n=$((n + 1)); [ "$i" = $n ] || echo "$i is not $n"; done </root/log
  now=$(cat /root/now); [ "$now" = $n ] || [ "$now" = $((n - 1)) ] || echo "$now behind $n"; echo judged`;

test('a warm one stands still for the last round only', { timeout: 120_000 }, async () => {
  await here.exec(
    'web',
    `head -c 8000000 /dev/urandom >/srv/volume; head -c 6000000 /dev/urandom >/root/large`,
  );
  const look = `${LOOK}; sha256sum /root/large /srv/volume`;
  const before = await here.exec('web', look);
  const writer = here.root.background(`"${BYREF}" exec web -- sh -c '${WRITER}'`);
  await expect.poll(() => here.exec('web', 'wc -l </root/log')).not.toBe('0');
  const words = ['move', 'web', 'other', '--rsh', shellTo(here.root, there.root), '--warm'];
  const moved = await here.root.json<EnvMoved>(...words, '--remote-byref', BYREF, '--fast');
  expect(writer.pid).toBeDefined();
  expect(moved).toMatchObject({ moved: true, there: { name: 'web' }, versions: [] });
  expect(moved.rounds).toBeGreaterThan(2);
  expect(moved.pauseMs).toBeGreaterThan(0);
  expect(await there.exec('web', look)).toBe(before);
  expect(await there.exec('web', JUDGE)).toBe('judged\n');
  expect(await here.root.json('list')).toEqual([]);
  await there.root.ok('stop', 'web', '--fast');
  for (const { root } of [here, there]) {
    await root.ok('umount', '--all');
    await root.ok('gc');
    expect(await root.findings()).toEqual([]);
  }
});

test.each(['here', 'there'])(
  'a warm one that is killed at any point %s goes on',
  { timeout: 600_000 },
  async (where) => {
    for (let n = 1; ; n += 2 * KILL_STEP) {
      await here.exec('web', `head -c 3000000 /dev/urandom >/root/large; echo ${n} >>/root/file`);
      const before = await here.exec('web', `${LOOK}; sha256sum /root/large`);
      const killed = where === 'here' ? '' : `env BYREF_FAILPOINT='*:${n}'`;
      const words = ['move', 'web', 'other', '--rsh', shellTo(here.root, there.root, killed)];
      const all = [...words, '--remote-byref', BYREF, '--fast'];
      const { code } = await (where === 'here'
        ? runKilledAt(here.root, `*:${n}`, [...all, '--warm'])
        : here.root.byref(...all, '--warm'));
      await expect.poll(() => receiversOf(there), { timeout: 20_000 }).toEqual([]);
      if (code !== 0 && (await has(there))) {
        expect(await here.root.byref(...all, '--resume')).toMatchObject({ code: EXIT.exists });
        if (await has(here)) await here.root.ok('destroy', 'web');
      } else if (code !== 0) {
        // One that only hears of the other side's death goes on; one that was killed itself may leave the env stopped.
        if (where === 'there') expect((await here.root.info('web')).pid).not.toBeNull();
        const resumed = await here.root.byref(...all, '--resume');
        if (resumed.code === EXIT.notFound) await here.root.ok(...all, '--warm');
        else expect(resumed, resumed.stderr).toMatchObject({ code: 0 });
      }
      if ((await there.root.info('web')).pid === null) await there.root.ok('start', 'web');
      expect(await there.exec('web', `${LOOK}; sha256sum /root/large`)).toBe(before);
      for (const side of [here, there]) {
        await side.root.ok('gc');
        expect(await side.root.json('receive', '--list')).toEqual([]);
      }
      if (code === 0) return;
      // Back again.
      const back = shellTo(there.root, here.root);
      await there.root.ok('move', 'web', 'other', '--rsh', back, '--remote-byref', BYREF, '--fast');
    }
  },
);

const has = async ({ root }: RunRoot): Promise<boolean> =>
  (await root.json<EnvSummary[]>('list')).some(({ name }) => name === 'web');

const receiversOf = ({ root }: RunRoot): string[] =>
  readdirSync(path.join(root.path, 'moves/in')).filter(
    (name) => name.endsWith('.lock') && isHeld(path.join(root.path, 'moves/in', name), 'exclusive'),
  );

test('it runs here again if it can’t be moved, or started there', async () => {
  const before = await here.exec('web', LOOK);
  const expectHere = async (...words: string[]): Promise<void> => {
    const { code, stderr } = await here.root.byref('move', 'web', 'other', '--fast', ...words);
    expect(code).not.toBe(0);
    expect(stderr).toContain('web is started here again');
    expect(await here.exec('web', LOOK)).toBe(before);
    expect(await there.root.json('list')).toEqual([]);
  };
  const byref = ['--remote-byref', BYREF];
  // The runtime is not there.
  const noRuntime = shellTo(here.root, there.root, 'env BYREF_RUNTIME=/nothing/there');
  await expectHere('--rsh', noRuntime, ...byref);
  const killed = shellTo(here.root, there.root, "env BYREF_FAILPOINT='receive-confirmed:1'");
  await expectHere('--rsh', killed, ...byref);
  await there.root.ok('gc');
  expect(await there.root.findings()).toEqual([]);
});
