import type { EnvRow, Store } from '../store/store.ts';

export interface CreateOptions {
  readonly name: string;
  /** NAME or NAME@VERSION */
  readonly os: string;
  /** Bottom first. */
  readonly apps: readonly string[];
}

/**
 * Makes an env: one row in the store, whatever its templates hold and however many envs there are (so
 * shards take turns, and nobody counts). The store is open for writing.
 */
export function createEnv(store: Store, options: CreateOptions): EnvRow {
  const { name, os, apps } = options;
  return store.createEnv({ name, stack: [os, ...apps] });
}
