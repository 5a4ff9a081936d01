import { failpoint } from '../base/failpoints.ts';
import { removeEnvFiles } from '../manager/envs/destroy.ts';
import { lockLifeCycle } from '../manager/envs/runtime/life-cycle.ts';
import { needSnapshot } from '../manager/envs/snapshots.ts';
import type { Patience } from '../store/patience.ts';
import type { EnvRow, Store } from '../store/store.ts';

/** A snapshot that was removed. */
export interface SnapshotRemoved {
  readonly env: number;
  readonly name: string;
  readonly snapshot: string;
}

/** Removes a snapshot of an env. The store is open for writing. @throws ByrefError 'notFound' */
export async function removeSnapshot(
  store: Store,
  row: EnvRow,
  name: string,
  patience: Patience,
): Promise<SnapshotRemoved> {
  const lock = await lockLifeCycle(store.root, row, patience);
  try {
    const { id } = needSnapshot(store, row, name);
    // As in destroyEnv(): a crash after this leaves files of an env that does not exist.
    store.removeEnv(id);
    failpoint('snapshot-unrowed');
    removeEnvFiles(store, id);
  } finally {
    lock.release();
  }
  return { env: row.id, name: row.name, snapshot: name };
}
