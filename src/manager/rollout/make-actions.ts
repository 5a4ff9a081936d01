/** Has the planned actions made: by the driver of an env that is mounted, by this process in the others. */
import { failpoint } from '../../base/failpoints.ts';
import type { FileAction } from '../../codec/patch-record.ts';
import type { EnvActionResult } from '../../driver/core/set-aside.ts';
import type { EnvActions } from '../../ipc/protocol.ts';
import type { EnvRow, Store } from '../../store/store.ts';
import { made, unmade } from './file-action.ts';
import { type FlipReport, refreshAll } from './flip.ts';
import { removePrepared } from './prepared-files.ts';
import type { ActionsByEnv } from './transitions.ts';

/** How often an env is tried again that was mounted or unmounted just when it was to be worked on. */
const ATTEMPTS = 5;

/** Returns the actions that are still to be made, as drivers are told of them. */
export function unmadeByEnv(acts: ActionsByEnv, patch: number): EnvActions[] {
  return [...acts]
    .map(([env, own]) => ({ env, acts: unmade(own, patch) }))
    .filter((each) => each.acts.length > 0);
}

/**
 * Returns the actions with their outcomes, by env: drivers report those in mounted envs; in the others they are made
 * now. An env in which dpkg is at work has none.
 */
export async function makeActions(
  store: Store,
  rows: readonly EnvRow[],
  acts: ActionsByEnv,
  patch: number,
  report: FlipReport,
): Promise<Map<number, FileAction[]>> {
  const done = new Map<number, FileAction[]>();
  for (const row of rows) {
    const own = acts.get(row.id) ?? [];
    const told = report.envs.get(row.id);
    const results = told?.acts ?? (await makeIn(store, row, own, patch));
    if (told?.busy) continue;
    const after = made(own, results);
    done.set(row.id, after);
    removePrepared(store, row, own, after);
    failpoint('patch-acted');
  }
  return done;
}

/** Makes actions in an env that nobody has mounted. */
async function makeIn(
  store: Store,
  row: EnvRow,
  acts: readonly FileAction[],
  patch: number,
): Promise<readonly EnvActionResult[]> {
  const wanted = unmade(acts, patch);
  if (wanted.length === 0) return [];
  const { actOffline } = await import('./offline.ts');
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const results = await actOffline(store, row, wanted);
    if (results !== null) return results;
    // Somebody mounted it meanwhile who had not seen the record: its driver makes the actions.
    const report = await refreshAll(store, [{ env: row.id, acts: wanted }]);
    const told = report.envs.get(row.id);
    if (told !== undefined) return told.acts;
  }
  return [];
}
