import type { EnvRow, Store } from '../store/store.ts';

export interface CreateOptions {
  readonly name: string;
  /** NAME or NAME@VERSION */
  readonly os: string;
  /** Bottom first. */
  readonly apps: readonly string[];
}

/** Makes an env: one row in the store, whatever its templates hold. The store is open for writing. */
export function createEnv(store: Store, options: CreateOptions): EnvRow {
  const { name, os, apps } = options;
  return store.createEnv({ name, stack: [os, ...apps], shard: leastLoaded(store) });
}

/** The shard with the fewest envs, the lowest of those. */
function leastLoaded(store: Store): number {
  const loads = new Array<number>(store.shards).fill(0);
  for (const { shard } of store.envs()) if (shard < loads.length) loads[shard]!++;
  return loads.indexOf(Math.min(...loads));
}
