/** What patches left that died: finished where the current version had moved, taken back where it had not. */
import type { PatchRecord } from '../../codec/patch-record.ts';
import type { Store } from '../../store/store.ts';
import { tryPatchLock } from './lock.ts';
import { PatchRun } from './run.ts';

/** The store is open for writing. Returns the records of what it ended; those that are under way are left alone. */
export async function recoverPatches(store: Store): Promise<PatchRecord[]> {
  const ended: PatchRecord[] = [];
  for (const { id, templateId } of store.patches.unfinished().reverse()) {
    const lock = tryPatchLock(store.root, templateId);
    if (lock === null) continue;
    // It may have ended before the lock was taken.
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
