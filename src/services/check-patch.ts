/** Tells what a patch would do: `byref patch --check`. */
import type { Policy } from '../codec/patch-record.ts';
import { type PatchPlan, planPatch } from '../manager/rollout/plan.ts';
import { needTemplate, patchTarget, rolledBack } from '../manager/rollout/target.ts';
import type { Store } from '../store/store.ts';

/** Why there is nothing to patch. */
export interface UpToDate {
  readonly template: string;
  readonly current: number;
  /** A newer version that was current, and was rolled back; it is taken again only by its number. Null if there is none. */
  readonly rolledBack: number | null;
}

/**
 * Works out what patchTemplate() would do, and changes nothing. Returns null if there is nothing to do.
 * @param to the version to go to; null: the newest staged one
 * @throws ByrefError 'notFound'; 'badInput' for a version that does not go together with the envs' other templates
 */
export async function checkPatch(
  store: Store,
  name: string,
  to: number | null,
  policies: readonly Policy[],
): Promise<PatchPlan | null> {
  const template = needTemplate(store, name);
  const version = patchTarget(store, template, to);
  if (version === null || version.number === template.current) return null;
  return planPatch(store, template, version, policies);
}

/** Tells why there is nothing to patch, once patchTemplate() or checkPatch() returned null. */
export function upToDate(store: Store, name: string): UpToDate {
  const template = needTemplate(store, name);
  const back = rolledBack(store, template)?.number ?? null;
  return { template: template.name, current: template.current, rolledBack: back };
}
