import { ByrefError } from '../base/error.ts';
import { type FirstMount, NOTHING_TOLD, writeSetup } from '../manager/envs/first-mount/setup.ts';
import { compose, isComposed } from '../manager/recipes/compose/compose.ts';
import { sweepScratchEnvsIfAny } from '../manager/sandbox/scratch-env.ts';
import { accessTo } from '../manager/sandbox/store-access.ts';
import type { OnProgress } from '../manager/templates/tree.ts';
import { isScratch } from '../store/names.ts';
import type { EnvRow, StackRef, Store } from '../store/store.ts';

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
  if (isScratch(name)) {
    const message = `"${name}" is how byref names its throw-away envs`;
    throw new ByrefError('usage', message, 'Choose another name.');
  }
  store.refuseEnvName(name);
  // One that was killed right after it had composed the same stack left that.
  if (apps.length > 0) await sweepScratchEnvsIfAny(store);
  // Others write while it is composed: a patch may come between, or a gc that finds no env of the stack.
  for (let stack = versions(); !isComposed(store, stack); stack = versions()) {
    const wanted = stack;
    notes.push(...(await store.pause(() => compose(accessTo(store), wanted, signal, progress))));
  }
  const row = store.createEnv(env, ({ id }) => {
    if (firstMount !== NOTHING_TOLD) writeSetup(store.root, id, firstMount);
  });
  return { row, notes };
}
