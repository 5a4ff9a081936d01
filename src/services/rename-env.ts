import { rmdirSync } from 'node:fs';
import { lockLifeCycle } from '../manager/envs/runtime/life-cycle.ts';
import { type EnvSummary, summaryOf } from '../manager/envs/summary.ts';
import { refuseScratchName } from '../store/names.ts';
import type { Patience } from '../store/patience.ts';
import { type EnvRow, mountDir, type Store } from '../store/store.ts';
import { needStopped } from './need-stopped.ts';

/**
 * Gives an env another name. It has to be stopped, since it is mounted in a directory of its name. Its host name follows at the next
 * start, unless people have given it one of its own.
 * @throws ByrefError 'busy' while it is mounted, 'exists', 'usage'
 */
export async function renameEnv(
  store: Store,
  row: EnvRow,
  name: string,
  patience: Patience,
): Promise<EnvSummary> {
  refuseScratchName(name);
  const lock = await lockLifeCycle(store.root, row, patience);
  try {
    const state = await needStopped(store, row, '');
    const renamed = store.renameEnv(row, name);
    removeEmpty(mountDir(store.root, row.name));
    return summaryOf({ ...state, row: renamed });
  } finally {
    lock.release();
  }
}

/** Removes the place where it was mounted, if nobody has put anything there. */
function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // It was never mounted, or it is in use by somebody.
  }
}
