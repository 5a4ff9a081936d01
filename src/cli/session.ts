import { openStore, type Store } from '../store/store.ts';
import type { Context } from './command.ts';

/** Runs `work` with the store open, and closes it whatever happens. */
export async function withStore<T>(
  { root }: Context,
  mode: 'read' | 'write',
  work: (store: Store) => T | Promise<T>,
): Promise<T> {
  const store = await openStore(root, { write: mode === 'write' });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}
