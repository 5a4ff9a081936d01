import { compose, isComposed } from '../manager/recipes/compose/compose.ts';
import { accessTo } from '../manager/sandbox/store-access.ts';
import type { StackRef, Store } from '../store/store.ts';

/** Makes the composition of a stack, if it needs one and has none. The store is open for writing; others may write meanwhile. */
export async function composeStack(
  store: Store,
  versions: () => readonly StackRef[],
  signal: AbortSignal,
): Promise<void> {
  while (!isComposed(store, versions()))
    await store.pause(() => compose(accessTo(store), versions(), signal));
}
