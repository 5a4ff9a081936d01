/** Fixes what stays an env's own, before the env sees other versions. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import type { EnvAction } from '../../driver/core/set-aside.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';
import type { EnvPlan } from './env-plan.ts';
import { refreshAll } from './flip.ts';

/**
 * Makes each plan's `before` steps. While the envs see the old versions, this changes nothing that a program could see. If
 * the patch does not come after all, the next step takes away what was made in vain.
 * @returns the ids of envs in which dpkg or apt has begun to work: nothing was made there
 * @throws ByrefError if the steps fail in one env: then the patch may not go on
 */
export async function makeBefore(
  store: Store,
  plans: ReadonlyMap<number, EnvPlan>,
): Promise<number[]> {
  const wanted = new Map<number, EnvAction[]>();
  for (const [env, { before }] of plans) {
    if (before !== null) wanted.set(env, [{ what: 'steps', file: before }]);
  }
  if (wanted.size === 0) return [];
  const report = await refreshAll(
    store,
    [...wanted].map(([env, acts]) => ({ env, acts })),
  );
  const busy: number[] = [];
  for (const [env, acts] of wanted) {
    const row = store.needEnv(env);
    const told = report.envs.get(env);
    const made = told === undefined ? await makeOffline(store, row, acts) : told;
    if (made.busy) busy.push(env);
    const [result] = made.acts;
    if (!made.busy && (result === undefined || result.error !== 0)) {
      throw failed(row, made.error ?? `errno ${-(result?.error ?? 0)}`);
    }
    rmSync(path.join(envDir(store.root, env), plans.get(env)!.before!), { force: true });
  }
  return busy;
}

async function makeOffline(store: Store, row: EnvRow, acts: readonly EnvAction[]) {
  const { actOffline } = await import('./offline.ts');
  const results = await actOffline(store, row, acts);
  if (results !== null) return { busy: false, acts: results, error: null };
  return { busy: false, acts: [], error: 'it is in use, and no driver answers for it' };
}

function failed({ name }: EnvRow, why: string): ByrefError {
  const message = `what ${name} has of its own could not be kept: ${why}`;
  return new ByrefError('error', message, 'Nothing was changed. See byref info for the env.');
}
