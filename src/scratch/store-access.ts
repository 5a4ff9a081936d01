import type { Store } from '../store/store.ts';

/** The store for short moments: what is made meanwhile takes long, and others are to get at it. */
export interface StoreAccess {
  readonly read: <T>(work: (store: Store) => T | Promise<T>) => Promise<T>;
  readonly write: <T>(work: (store: Store) => T | Promise<T>) => Promise<T>;
  /** Runs what takes long, and needs no store: where it is kept open, others get at it meanwhile. */
  readonly aside?: <T>(work: () => Promise<T>) => Promise<T>;
}

/**
 * A store that is open for writing.
 * @param shared let others write while something takes long: then what was read before may have changed
 */
export const accessTo = (store: Store, { shared }: { shared: boolean }): StoreAccess => ({
  read: async (work) => work(store),
  write: async (work) => work(store),
  ...(shared && { aside: (work) => store.pause(work) }),
});
