/** Removes what nothing needs: `byref gc`. */
import { rmdirSync } from 'node:fs';
import { isNoSpace } from '../base/no-space.ts';
import { sweepTemporaryDirs } from '../base/temporary-dir.ts';
import { sweepIncoming } from '../manager/moves/incoming.ts';
import { sweepOutgoing } from '../manager/moves/outgoing.ts';
import { sweepScratchEnvs } from '../manager/sandbox/scratch-env.ts';
import {
  type GcHooks,
  type GcOptions,
  type GcReport,
  removeGarbage,
} from '../manager/upkeep/gc/remove-garbage.ts';
import { giveUpIfNeeded, giveUpReserve, keepReserve } from '../store/reserve.ts';
import type { Store } from '../store/store.ts';

/** The outcome of collectGarbage(). */
export interface GarbageCollected extends GcReport {
  /** True if it is what would be removed. */
  readonly dryRun: boolean;
}

/**
 * Removes what builds and captures left that were killed, and then versions, objects and files that nothing needs. The store is
 * open for writing. On a full disk it takes the space that is set aside for it, and sets some aside again.
 * @throws ByrefError as removeGarbage(); the signal's reason once it is aborted
 */
export async function collectGarbage(
  store: Store,
  options: GcOptions,
  hooks: GcHooks = {},
): Promise<GarbageCollected> {
  // First of all: a run that is begun anew does not tell what the first one did.
  if (!options.dryRun) await prepare(store);
  try {
    return await collect(store, options, hooks);
  } catch (error) {
    if (options.dryRun || !isNoSpace(error) || !(await giveUpReserve(store.root))) throw error;
    return await collect(store, options, hooks);
  } finally {
    if (!options.dryRun) keepReserve(store.root);
  }
}

async function prepare(store: Store): Promise<void> {
  await giveUpIfNeeded(store.root);
  try {
    // What free space is said to be does not tell whether a directory can be made.
    rmdirSync(store.objects.makeUnfinished());
  } catch (error) {
    if (!isNoSpace(error)) throw error;
    await giveUpReserve(store.root);
  }
}

async function collect(
  store: Store,
  options: GcOptions,
  hooks: GcHooks,
): Promise<GarbageCollected> {
  const { dryRun } = options;
  if (!dryRun) {
    sweepTemporaryDirs();
    await sweepScratchEnvs(store);
    sweepIncoming(store.root);
    sweepOutgoing(store.root, (env) => store.env(env) !== null);
  }
  return { ...(await removeGarbage(store, options, hooks)), dryRun };
}
