/** Removes what nothing needs: `byref gc`. */
import { sweepWorkplaces } from '../manager/recipes/build/workplace.ts';
import { sweepScratchEnvs } from '../manager/sandbox/scratch-env.ts';
import {
  type GcHooks,
  type GcOptions,
  type GcReport,
  removeGarbage,
} from '../manager/upkeep/gc/remove-garbage.ts';
import type { Store } from '../store/store.ts';

/** The outcome of collectGarbage(). */
export interface GarbageCollected extends GcReport {
  /** True if it is what would be removed. */
  readonly dryRun: boolean;
}

/**
 * Removes what builds and captures left that were killed, and then versions, objects and files that nothing needs. The store is
 * open for writing.
 * @throws ByrefError as removeGarbage(); the signal's reason once it is aborted
 */
export async function collectGarbage(
  store: Store,
  options: GcOptions,
  hooks: GcHooks = {},
): Promise<GarbageCollected> {
  const { dryRun } = options;
  if (!dryRun) {
    sweepWorkplaces();
    await sweepScratchEnvs(store);
  }
  return { ...(await removeGarbage(store, options, hooks)), dryRun };
}
