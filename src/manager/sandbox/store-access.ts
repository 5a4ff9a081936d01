import type { Store } from '../../store/store.ts';

/** Opens the store only while needed: a build takes long and must not keep others from it. */
export interface StoreAccess {
  readonly read: <T>(work: (store: Store) => T | Promise<T>) => Promise<T>;
  /** Runs with the writer's role. */
  readonly write: <T>(work: (store: Store) => T | Promise<T>) => Promise<T>;
  /** Opens the store for writing, without the role: for addVersion, which takes it at its end. */
  readonly add: <T>(work: (store: Store) => Promise<T>) => Promise<T>;
}

/** Gives this access to a store that stays open for writing. */
export const accessTo = (store: Store): StoreAccess => ({
  read: async (work) => work(store),
  write: (work) => store.writing(() => work(store)),
  add: (work) => work(store),
});
