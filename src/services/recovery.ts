/** Ends what processes that died left half done: patches, and throw-away envs. */
import { ByrefError } from '../base/error.ts';
import type { PatchRecord } from '../codec/patch-record.ts';
import { openStore, type Store } from '../store/store.ts';

/** Is called with the record of each patch of a dead process, once it is finished or undone. */
export type OnRecovered = (record: PatchRecord) => void;

/** Tells whether a patch's process has died. Costs one read if no patch is under way. */
export async function hasDeadPatch(store: Store): Promise<boolean> {
  const unfinished = store.patches.unfinished();
  if (unfinished.length === 0) return false;
  const { isUnderWay } = await import('../manager/rollout/lock.ts');
  return unfinished.some(({ templateId }) => !isUnderWay(store.root, templateId));
}

/** Finishes or undoes patches whose process died, and removes the scratch envs that it left. The caller has the writer's role. */
export async function recover(store: Store, on: OnRecovered): Promise<void> {
  // These load most of the manager, and are rarely needed.
  const { recoverPatches } = await import('../manager/rollout/recover.ts');
  const { sweepScratchEnvs } = await import('../manager/sandbox/scratch-env.ts');
  // The process may have died while it composed a stack, in a scratch env.
  await sweepScratchEnvs(store);
  for (const record of await recoverPatches(store)) on(record);
}

/**
 * Recovers for a caller that only reads the store, and has closed it. While another process writes, dead patches stay as they
 * are for now.
 */
export async function recoverIfFree(root: string, on: OnRecovered): Promise<void> {
  try {
    const store = await openStore(root, { write: true });
    await recover(store, on).finally(() => store.close());
  } catch (error) {
    if (!(error instanceof ByrefError) || error.code !== 'locked') throw error;
  }
}

/** Says what became of a patch whose process had died. */
export function recoveredText({ kind, id, template, state }: PatchRecord): string {
  const how = state === 'undone' ? 'taken back' : 'finished';
  return `${kind} ${id} of ${template}, whose process had died, was ${how}`;
}
