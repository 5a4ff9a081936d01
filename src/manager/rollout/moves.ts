/** Tells what a move to other versions means for each env: from which stack to which, and what differs. */
import type { TreeDiff } from '../../driver/core/tree-diff.ts';
import type { EnvRow, StackRef, Store } from '../../store/store.ts';
import type { NextStack } from './prepare-stacks.ts';

/** One env that is to go to another version of a template, or to another stack. */
export interface EnvMove {
  readonly row: EnvRow;
  readonly change: TreeDiff;
}

/** Computes the difference between each env's stack as it is now and its next one. Envs of the same stacks share one. */
export function movesTo(store: Store, next: readonly NextStack[]): EnvMove[] {
  return next.map(({ row: { id }, stack }) => {
    const row = store.needEnv(id);
    return { row, change: store.diffStacks(store.resolveStack(row), store.composed(stack)) };
  });
}

/** Returns the stacks that the envs would have with another version of the template. */
export function nextStacks(
  store: Store,
  rows: readonly EnvRow[],
  templateId: number,
  version: number,
): NextStack[] {
  return rows.map((row) => ({ row, stack: withVersion(store, row, templateId, version) }));
}

/** Returns the env's stack with another version of the template, without the composition on top. */
export const withVersion = (
  store: Store,
  row: EnvRow,
  templateId: number,
  version: number,
): StackRef[] =>
  store
    .plainStack(row)
    .map((ref) => (ref.templateId === templateId ? { templateId, version } : ref));
