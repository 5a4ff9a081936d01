/** The stack of an env that is made again as it was at an earlier moment. */
import type { StackEntry, StackRef, Store } from '../../store/store.ts';

/** Returns the entry that shows a version: one that followed its template does so again if the template is there; else it is pinned. */
export function entryAt(
  store: Store,
  { templateId, version }: StackRef,
  followed: boolean,
): StackEntry {
  const row = store.catalog.byId(templateId)!;
  const follows = followed && row.current === version;
  return { templateId, template: row.name, pinned: follows ? null : version, canary: null };
}

/** Returns a sentence for each template that the env followed, and is pinned to now. */
export const pinnedNotes = (stack: readonly StackEntry[], followed: readonly boolean[]): string[] =>
  stack
    .filter(({ pinned }, i) => pinned !== null && followed[i] === true)
    .map(
      ({ template, pinned }) =>
        `it is pinned to ${template}@${pinned}, which it saw: byref follow lets it see the current version`,
    );
