/** Prepares stacks before envs go to them: checks that their templates go together, and makes their compositions. */

import { sweepTemporaryDirs } from '../../base/temporary-dir.ts';
import { compositionName } from '../../store/compositions.ts';
import type { EnvRow, StackRef, Store } from '../../store/store.ts';
import { compose, isComposed } from '../recipes/compose/compose.ts';
import { sweepScratchEnvsIfAny } from '../sandbox/scratch-env.ts';
import { accessTo } from '../sandbox/store-access.ts';

/** An env, and the versions that it is to see, without a composition. */
export interface NextStack {
  readonly row: EnvRow;
  readonly stack: readonly StackRef[];
}

/** Options of prepareStacks(). */
export interface PrepareOptions {
  /** Aborts the work. */
  readonly signal?: AbortSignal | undefined;
  /** Lets others write to the store meanwhile; whoever sets it reads again what may have changed. */
  readonly shared: boolean;
}

/**
 * Refuses templates that do not go together, as `create` does, and makes the compositions that are missing. Each distinct
 * stack is handled once.
 * @returns what an upper app decided, in sentences
 * @throws ByrefError 'badInput'
 */
export async function prepareStacks(
  store: Store,
  all: readonly NextStack[],
  { signal, shared }: PrepareOptions,
): Promise<string[]> {
  // A process that was killed right after it composed left its workplace and scratch env; now nothing may be left to compose.
  if (all.some(({ stack }) => stack.length > 1)) {
    sweepTemporaryDirs();
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
