/** Plans what a patch does in each env that it moves, before anything is done. */
import type { FileAction, PatchRecord } from '../../codec/patch-record.ts';
import type { EnvRow, Store } from '../../store/store.ts';
import { broughtAlong } from './decide-completing.ts';
import { isOfDependencies } from './dependency-policy.ts';
import { type EnvPlan, planEnv } from './env-plan.ts';
import type { EnvMove } from './moves.ts';
import { planRestores } from './plan-actions.ts';
import { patchesAbove, undoneBy } from './target.ts';
import type { PlannedEnv } from './transitions.ts';

/** The plans of envs in which something is to be done, by the env's id. */
export type PlansByEnv = Map<number, EnvPlan>;

/** Plans the moves of a patch, in the direction that the record says. */
export async function planMoves(
  store: Store,
  record: PatchRecord,
  moves: readonly EnvMove[],
): Promise<PlansByEnv> {
  const { kind, policies, id, templateId, from, to } = record;
  if (kind === 'rollback')
    return planBack(store, record, moves, undoneBy(store, templateId, to), true);
  if (kind === 'pin' || kind === 'follow') {
    return planBack(store, record, moves, patchesAbove(store, templateId, to), to < from);
  }
  const plans: PlansByEnv = new Map();
  for (const move of moves) {
    const plan = await planEnv(store, move, { patch: id, policies, restores: [] });
    if (plan !== null) plans.set(move.row.id, plan);
  }
  return plans;
}

/**
 * Plans a way back: what these patches did in the envs is put back. Registry files that can't be put back are merged.
 * @param isBack true on the way to what was there before; false to a newer version, by which an env leaves patches as well
 */
export async function planBack(
  store: Store,
  { id: patch, policies: all }: PatchRecord,
  moves: readonly EnvMove[],
  undone: readonly PatchRecord[],
  isBack: boolean,
): Promise<PlansByEnv> {
  // Files are put back as they were, so policies about them, which were the patch's, do not count.
  const policies = all.filter(isOfDependencies);
  const touched = new Set(
    undone.flatMap(({ envs }) => envs.filter((env) => env.acts.length > 0).map((env) => env.id)),
  );
  const plans: PlansByEnv = new Map();
  for (const move of moves) {
    const { row } = move;
    const brought = isBack ? broughtAlong(undone, row.id) : null;
    const restores = touched.has(row.id) ? await planRestores(store, row, undone) : [];
    const completing = { trial: null, brought };
    const plan = await planEnv(store, move, { patch, policies, restores, completing });
    if (plan !== null) plans.set(row.id, plan);
  }
  return plans;
}

/** Returns the actions of the plans that have some. */
export const actionsOf = (
  plans: ReadonlyMap<number, EnvPlan>,
): Map<number, readonly FileAction[]> =>
  new Map([...plans].filter(([, { acts }]) => acts.length > 0).map(([id, { acts }]) => [id, acts]));

/** Returns the envs with what their plans know of packages. */
export function plannedEnvs(
  rows: readonly EnvRow[],
  plans: ReadonlyMap<number, EnvPlan>,
): PlannedEnv[] {
  return rows.map(({ id, name }) => {
    const { own = [], unmet = [], unjudged = null, completion = null } = plans.get(id) ?? {};
    const packages = {
      packages: own,
      unmet,
      ...(unjudged === null ? {} : { unjudged }),
      ...(completion === null ? {} : { completion }),
    };
    return { id, name, packages };
  });
}
