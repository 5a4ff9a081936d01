/** Rollouts in stages, and rollbacks, that are killed; crash.test.ts has the others. */
import { expect, test } from 'vitest';
import { KILL_STEP, runKilledAt } from '../support/damage/failpoints.ts';
import {
  allStates,
  FAILPOINTS_MAX,
  killPatch,
  makeEnvs,
  POLICIES,
  usePatchRoot,
} from './crash-envs.ts';

const HEALTHY = ['--stages', '1,2,100%', '--health', 'true', '--health-on', 'host'];

const root = usePatchRoot();

test(
  'a rollout in stages that is killed at any point is finished or taken back by the next command',
  () => killPatch(['patch', 't', '--to', '2', ...POLICIES, ...HEALTHY]),
  600_000,
);

test('a rollback that is killed at any point is finished or taken back by the next command', async () => {
  const t = root();
  await makeEnvs();
  for (let n = 1; n < FAILPOINTS_MAX; n += KILL_STEP) {
    await t.patch('--to', '2', ...POLICIES);
    const { code } = await runKilledAt(t.root, `*:${n}`, ['rollback', 't']);
    const states = await allStates();
    expect(new Set(states).size, `${n}: ${states.join('; ')}`).toBe(1);
    if (code === 0) {
      expect(states[0]).toBe('one, own');
      expect(n).toBeGreaterThan(4);
      return;
    }
    if (states[0] === 'two, acted') await t.rollback();
    else expect(states[0]).toBe('one, own');
    expect(await allStates()).toEqual(['one, own', 'one, own', 'one, own']);
  }
  expect.unreachable('it came by more failpoints than expected');
}, 600_000);
