import { ByrefError } from '../../base/error.ts';
import type { EnvAction, EnvActionResult } from '../../driver/core/set-aside.ts';
import type { EnvRow, Store } from '../../store/store.ts';
import { refreshAll } from './flip.ts';

/**
 * Makes one action in an env, outside of any patch: its driver makes it if the env is mounted, else this process.
 * @throws ByrefError 'busy' if dpkg is at work in the env and the action must not come between; 'locked' if the env is in use
 *   and no driver answers; 'error' if its driver fails
 */
export async function actInEnv(
  store: Store,
  row: EnvRow,
  wanted: EnvAction,
): Promise<EnvActionResult> {
  const { actOffline } = await import('./offline.ts');
  const results = await actOffline(store, row, [wanted]);
  if (results !== null) return results[0] ?? NOTHING;
  const report = await refreshAll(store, [{ env: row.id, acts: [wanted] }]);
  const told = report.envs.get(row.id);
  if (told?.error)
    throw new ByrefError('error', `${row.name}: ${told.error}`, 'See the log of its driver.');
  if (told?.busy) {
    const hint = 'Let it finish, then run this again.';
    throw new ByrefError('busy', `dpkg or apt is at work in ${row.name}`, hint);
  }
  if (told !== undefined) return told.acts[0] ?? NOTHING;
  const hint = 'Unmount it, then run this again.';
  throw new ByrefError('locked', `${row.name} is in use, and no driver answers for it`, hint);
}

const NOTHING: EnvActionResult = { error: 0, ino: 0 };
