/** Makes running envs stand still for as long as people want. */
import { freeze, isFrozen, thaw } from '../manager/envs/runtime/freezer.ts';
import { lockLifeCycle } from '../manager/envs/runtime/life-cycle.ts';
import type { Patience } from '../store/patience.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { needRunning } from './start-env.ts';

/** An env that was frozen, or thawed. */
export interface EnvFrozen {
  readonly env: number;
  readonly name: string;
  readonly state: 'frozen' | 'running';
  /** True if it was so already, so that nothing was done. */
  readonly already: boolean;
}

/**
 * Makes all processes of a running env stand still, until thawEnv(). It takes no processor then; its memory stays.
 * @throws ByrefError 'usage' if it does not run, 'busy' if not all stand still in time, 'unsupported' without a freezer
 */
export async function freezeEnv(
  { root }: Store,
  row: EnvRow,
  patience: Patience,
): Promise<EnvFrozen> {
  const lock = await lockLifeCycle(root, row, patience);
  try {
    needRunning(root, row);
    const already = isFrozen(root, row.id);
    if (!already) await freeze(root, row);
    return { env: row.id, name: row.name, state: 'frozen', already };
  } finally {
    lock.release();
  }
}

/** Lets all processes of an env go on. @throws ByrefError 'usage' if it does not run */
export async function thawEnv(
  { root }: Store,
  row: EnvRow,
  patience: Patience,
): Promise<EnvFrozen> {
  const lock = await lockLifeCycle(root, row, patience);
  try {
    needRunning(root, row);
    const already = !thaw(root, row.id);
    return { env: row.id, name: row.name, state: 'running', already };
  } finally {
    lock.release();
  }
}
