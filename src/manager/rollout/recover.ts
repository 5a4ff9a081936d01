/** Ends patches whose process died: finishes them if the current version had moved, else takes them back. */
import type { PatchRecord } from '../../codec/patch-record.ts';
import type { Store } from '../../store/store.ts';
import { tryPatchLock } from './lock.ts';
import { PatchRun } from './run.ts';

/** Ends what is unfinished and returns the records. Leaves patches alone that are under way. The store is open for writing. */
export async function recoverPatches(store: Store): Promise<PatchRecord[]> {
  const ended: PatchRecord[] = [];
  for (const { id, templateId } of store.patches.unfinished().reverse()) {
    const lock = tryPatchLock(store.root, templateId);
    if (lock === null) continue;
    // The patch may have ended before the lock was taken.
    const record = store.patches.get(id);
    if (record === null || !['rolling', 'acting'].includes(record.state)) lock.release();
    else ended.push(await end(PatchRun.resume(store, lock, record)));
  }
  return ended;
}

const end = (run: PatchRun): Promise<PatchRecord> => {
  const { state, by } = run.record;
  if (state === 'acting') return run.finish();
  return run.undo(`process ${by.pid} ended before it was through`);
};
