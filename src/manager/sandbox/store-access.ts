import type { Store } from '../../store/store.ts';

/** The store for short moments: what is made meanwhile takes long, and others are to get at it. */
export interface StoreAccess {
  readonly read: <T>(work: (store: Store) => T | Promise<T>) => Promise<T>;
  /** With the writer's role. */
  readonly write: <T>(work: (store: Store) => T | Promise<T>) => Promise<T>;
  /** Open for writing, without the role: for addVersion, which takes it at its end. */
  readonly add: <T>(work: (store: Store) => Promise<T>) => Promise<T>;
}

/** A store that is open for writing. */
export const accessTo = (store: Store): StoreAccess => ({
  read: async (work) => work(store),
  write: (work) => store.writing(() => work(store)),
  add: (work) => work(store),
});
