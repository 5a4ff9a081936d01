/** Makes running envs stand still for as long as people want. */
import { freeze, isFrozen, thaw } from '../manager/envs/runtime/freezer.ts';
import { lockLifeCycle } from '../manager/envs/runtime/life-cycle.ts';
import type { Patience } from '../store/patience.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { letGo } from './sleeping-env.ts';
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
export const freezeEnv = (store: Store, row: EnvRow, patience: Patience): Promise<EnvFrozen> =>
  whileRunning(store, row, patience, async ({ root }) => {
    const already = isFrozen(root, row.id);
    if (!already) await freeze(root, row);
    return { state: 'frozen', already };
  });

/** Lets all processes of an env go on. @throws ByrefError 'usage' if it does not run */
export const thawEnv = (store: Store, row: EnvRow, patience: Patience): Promise<EnvFrozen> =>
  whileRunning(store, row, patience, async ({ root }) => ({
    state: 'running',
    already: !((await letGo(root, row)) || thaw(root, row.id)),
  }));

type Outcome = Pick<EnvFrozen, 'state' | 'already'>;

/** Does some work with the lock of an env that runs. */
async function whileRunning(
  store: Store,
  row: EnvRow,
  patience: Patience,
  work: (store: Store) => Outcome | Promise<Outcome>,
): Promise<EnvFrozen> {
  const lock = await lockLifeCycle(store.root, row, patience);
  try {
    needRunning(store.root, row);
    return { env: row.id, name: row.name, ...(await work(store)) };
  } finally {
    lock.release();
  }
}
