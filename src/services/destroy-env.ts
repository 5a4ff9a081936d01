import { destroyEnv } from '../manager/envs/destroy.ts';
import type { EnvRow, Store } from '../store/store.ts';

/** The outcome of removeEnv(). */
export interface EnvDestroyed {
  readonly env: number;
  readonly name: string;
  /** Always true: who could not be destroyed is an error. */
  readonly destroyed: true;
}

/** Removes an env and all it holds. @param force unmount it first @throws ByrefError 'busy' while it is mounted */
export async function removeEnv(store: Store, row: EnvRow, force: boolean): Promise<EnvDestroyed> {
  await destroyEnv(store, row, force);
  return { env: row.id, name: row.name, destroyed: true };
}
