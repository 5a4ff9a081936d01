import { compose } from '../compose/compose.ts';
import { accessTo } from '../scratch/store-access.ts';
import { compositionName } from '../store/compositions.ts';
import type { EnvRow, StackRef, Store } from '../store/store.ts';
import type { OnProgress } from '../template/tree.ts';
import { type FirstMount, NOTHING_TOLD, writeSetup } from './first-mount/setup.ts';

export interface CreateOptions {
  readonly name: string;
  /** NAME or NAME@VERSION */
  readonly os: string;
  /** Bottom first. */
  readonly apps: readonly string[];
  /** What is to be done when it is first mounted, beside what always is. */
  readonly firstMount?: FirstMount;
}

export interface Created {
  readonly row: EnvRow;
  /** What was decided between its apps, in sentences. */
  readonly notes: readonly string[];
}

/**
 * Makes an env: one row in the store, whatever its templates hold and however many envs there are (so
 * shards take turns, and nobody counts). The first one of a stack of several apps waits until what they share is
 * merged. The store is open for writing.
 */
export async function createEnv(
  store: Store,
  options: CreateOptions,
  signal?: AbortSignal,
  progress?: OnProgress,
): Promise<Created> {
  const { name, os, apps, firstMount = NOTHING_TOLD } = options;
  const env = { name, stack: [os, ...apps] };
  const versions = (): StackRef[] => store.plainStack({ name, stack: store.stackOf(env) });
  const notes: string[] = [];
  let composed: StackRef[];
  store.refuseEnvName(name);
  do {
    composed = versions();
    notes.push(...(await compose(accessTo(store, { shared: true }), composed, signal, progress)));
    // A patch may have come between.
  } while (compositionName(composed) !== compositionName(versions()));
  const row = store.createEnv(env, ({ id }) => {
    if (firstMount !== NOTHING_TOLD) writeSetup(store.root, id, firstMount);
  });
  return { row, notes };
}
