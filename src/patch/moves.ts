/** What a move of a template's version means for each env: from which stack to which, and what differs. */
import type { LayersChange } from '../fs/layers-change.ts';
import type { EnvRow, StackRef, Store } from '../store/store.ts';

/** One env that is to go to another version of a template. */
export interface EnvMove {
  readonly row: EnvRow;
  readonly change: LayersChange;
}

/** Envs with the same stack share one change. */
export function movesOf(
  store: Store,
  rows: readonly EnvRow[],
  templateId: number,
  version: number,
): EnvMove[] {
  return rows.map((row) => {
    const to = store.composed(withVersion(store, row, templateId, version));
    return { row, change: store.change(store.resolveStack(row), to) };
  });
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
