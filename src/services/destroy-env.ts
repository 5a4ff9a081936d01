import { rmSync } from 'node:fs';
import { ByrefError } from '../base/error.ts';
import { destroyEnv } from '../manager/envs/destroy.ts';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import { lockLifeCycle, stopProcesses } from '../manager/envs/runtime/life-cycle.ts';
import type { Patience } from '../store/patience.ts';
import type { EnvRow, Store } from '../store/store.ts';

/** The outcome of removeEnv(). */
export interface EnvDestroyed {
  readonly env: number;
  readonly name: string;
  /** Always true: who could not be destroyed is an error. */
  readonly destroyed: true;
}

/**
 * Removes an env and all it holds.
 * @param force kill what runs in it, and unmount it first
 * @throws ByrefError 'busy' while it runs or is mounted
 */
export async function removeEnv(
  store: Store,
  row: EnvRow,
  force: boolean,
  patience: Patience,
): Promise<EnvDestroyed> {
  const { id, name } = row;
  const lock = await lockLifeCycle(store.root, row, patience);
  try {
    if (!force && new BundleDir(store.root, id).firstProcess() !== null) {
      const hint = `Stop it first (byref stop ${name}), or add --force.`;
      throw new ByrefError('busy', `${name} is running`, hint);
    }
    await stopProcesses(store.root, id, { timeoutMs: 0 });
    await destroyEnv(store, row, force);
    rmSync(new BundleDir(store.root, id).lock, { force: true });
  } finally {
    lock.release();
  }
  return { env: id, name, destroyed: true };
}
