import type { Store } from '../store/store.ts';

/** The store for short moments: what is made meanwhile takes long, and others are to get at it. */
export interface StoreAccess {
  readonly read: <T>(work: (store: Store) => T | Promise<T>) => Promise<T>;
  readonly write: <T>(work: (store: Store) => T | Promise<T>) => Promise<T>;
}

/** A store that is open for writing all the time. */
export const accessTo = (store: Store): StoreAccess => ({
  read: async (work) => work(store),
  write: async (work) => work(store),
});
