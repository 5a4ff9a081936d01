/** What a move of a template's version means for each env: from which stack to which, and what differs. */
import type { TreeDiff } from '../../driver/core/tree-diff.ts';
import type { EnvRow, StackRef, Store } from '../../store/store.ts';
import type { NextStack } from './ready-stacks.ts';

/** One env that is to go to another version of a template, or to another stack. */
export interface EnvMove {
  readonly row: EnvRow;
  readonly change: TreeDiff;
}

/** The rows as they are now, with what comes of it when they have these stacks. Those of the same stack share one change. */
export function movesTo(store: Store, next: readonly NextStack[]): EnvMove[] {
  return next.map(({ row: { id }, stack }) => {
    const row = store.needEnv(id);
    return { row, change: store.diffStacks(store.resolveStack(row), store.composed(stack)) };
  });
}

/** The followers, and where they would go. */
export function nextStacks(
  store: Store,
  rows: readonly EnvRow[],
  templateId: number,
  version: number,
): NextStack[] {
  return rows.map((row) => ({ row, stack: withVersion(store, row, templateId, version) }));
}

/** What the env's stack would be, without what is made for it. */
export const withVersion = (
  store: Store,
  row: EnvRow,
  templateId: number,
  version: number,
): StackRef[] =>
  store
    .plainStack(row)
    .map((ref) => (ref.templateId === templateId ? { templateId, version } : ref));
