import { expect, test } from 'vitest';
import type { PatchRecord } from '../../src/codec/patch-record.ts';
import { KILL_STEP, runKilledAt } from '../support/damage/failpoints.ts';
import { PatchRoot } from '../support/machine/patch-root.ts';
import { FAILPOINTS_MAX, killPatch, POLICIES, usePatchRoot } from './crash-envs.ts';

usePatchRoot();

test(
  'a patch that is killed at any point is finished or taken back by the next command',
  () => killPatch(['patch', 't', '--to', '2', ...POLICIES]),
  600_000,
);

test('a driver that is killed at any point of the flip: after a restart all envs agree', async () => {
  for (let n = 1; n < FAILPOINTS_MAX; n += KILL_STEP) {
    const root = await PatchRoot.create();
    const died = await driverDiesAt(root, n);
    await root.dispose();
    if (!died) {
      expect(n).toBeGreaterThan(4);
      return;
    }
  }
  expect.unreachable('it came by more failpoints than expected');
}, 600_000);

/** Two shards, one of whose drivers dies; false if it came by no n-th failpoint. */
async function driverDiesAt(root: PatchRoot, n: number): Promise<boolean> {
  await root.version({ 'usr/v': 'one', 'etc/taken': 'one' });
  await root.version({ 'usr/v': 'two', 'etc/taken': 'two' });
  for (const env of ['a', 'b']) await root.root.create(env, 't');
  // Inherited by the driver that this starts; no other process comes by these.
  const mounted = await runKilledAt(root.root, `flip-*:${n}`, ['mount', 'a', 'b']);
  expect(mounted.code, mounted.stderr).toBe(0);
  await root.in('a', 'echo mine >etc/taken');
  const { stdout } = await root.root.run(['patch', 't', '--take', '/etc', '--json']);
  const record = JSON.parse(stdout) as PatchRecord;
  const { state } = await root.root.info('a');
  const died = state === 'dead';
  expect(record.envs.every(({ outcome }) => outcome === (died ? 'failed' : 'flipped'))).toBe(true);
  await root.root.umount();
  await root.root.ok('mount', '--all');
  expect([await root.out('a', 'cat usr/v'), await root.out('b', 'cat usr/v')]).toEqual([
    'two',
    'two',
  ]);
  // And what the policy says was done, in whichever way.
  expect(await root.out('a', 'cat etc/taken')).toBe('two');
  return died;
}
