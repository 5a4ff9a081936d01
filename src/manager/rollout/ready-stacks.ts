/** What must be there before envs go to another version: stacks whose templates go together, and what is made for them. */

import { compositionName } from '../../store/compositions.ts';
import type { EnvRow, StackRef, Store } from '../../store/store.ts';
import { sweepWorkplaces } from '../recipes/build/workplace.ts';
import { compose, isComposed } from '../recipes/compose/compose.ts';
import { sweepScratchEnvsIfAny } from '../sandbox/scratch-env.ts';
import { accessTo } from '../sandbox/store-access.ts';

/** An env, and the versions that it is to see; without a composition. */
export interface NextStack {
  readonly row: EnvRow;
  readonly stack: readonly StackRef[];
}

export interface ReadyOptions {
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
  /** Let others write meanwhile: whoever asks for it reads again what may have changed. */
  readonly shared: boolean;
}

/**
 * Refuses what does not go together, as `create` does; composes what is to be composed. Each distinct stack once.
 * @returns what an upper app decided, in sentences
 * @throws ByrefError 'badInput'
 */
export async function readyStacks(
  store: Store,
  all: readonly NextStack[],
  { signal, shared }: ReadyOptions,
): Promise<string[]> {
  // One that was killed right after it had composed left what it made it in, and there may be nothing to compose now.
  if (all.some(({ stack }) => stack.length > 1)) {
    sweepWorkplaces();
    await sweepScratchEnvsIfAny(store);
  }
  const notes: string[] = [];
  const seen = new Set<string>();
  for (const { row, stack } of all) {
    if (stack.length === 1) continue;
    const key = compositionName(stack);
    if (seen.has(key)) continue;
    seen.add(key);
    store.checkStack(row.stack, stack);
    if (isComposed(store, stack)) continue;
    const make = () => compose(accessTo(store), stack, signal);
    notes.push(...(await (shared ? store.pause(make) : make())));
  }
  return notes;
}
