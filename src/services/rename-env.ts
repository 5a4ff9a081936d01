import { rmdirSync } from 'node:fs';
import { ByrefError } from '../base/error.ts';
import { lockLifeCycle } from '../manager/envs/runtime/life-cycle.ts';
import { envState } from '../manager/envs/state.ts';
import { type EnvSummary, summaryOf } from '../manager/envs/summary.ts';
import { isScratch } from '../store/names.ts';
import type { Patience } from '../store/patience.ts';
import { type EnvRow, mountDir, type Store } from '../store/store.ts';

/**
 * Gives an env another name. It has to be stopped, since it is mounted in a directory of its name. Its host name stays: that is a
 * file of its own.
 * @throws ByrefError 'busy' while it is mounted, 'exists', 'usage'
 */
export async function renameEnv(
  store: Store,
  row: EnvRow,
  name: string,
  patience: Patience,
): Promise<EnvSummary> {
  if (isScratch(name)) {
    const message = `"${name}" is how byref names its throw-away envs`;
    throw new ByrefError('usage', message, 'Choose another name.');
  }
  const lock = await lockLifeCycle(store.root, row, patience);
  try {
    const state = await envState(store, row);
    if (state.state !== 'stopped') {
      const how = state.firstPid === null ? 'mounted' : 'running';
      const command = state.firstPid === null ? 'umount' : 'stop';
      const hint = `Do this first: byref ${command} ${row.name}`;
      throw new ByrefError('busy', `${row.name} is ${how}`, hint);
    }
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
