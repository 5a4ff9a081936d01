/** Finds the envs that have a template, and at which version. */

import type { EnvRow, StackEntry, Store } from '../../store/store.ts';
import { peoplesEnvs } from '../sandbox/owner.ts';

/** An env that has the template in its stack. */
export interface TemplateUser {
  readonly row: EnvRow;
  readonly entry: StackEntry;
}

/** Returns all envs of people that have the template, oldest first: those that follow, pinned ones, and canaries. */
export function usersOf(store: Store, templateId: number): TemplateUser[] {
  return peoplesEnvs(store).flatMap((row) => {
    const entry = entryOf(row, templateId);
    return entry === undefined ? [] : [{ row, entry }];
  });
}

/** Returns the entry for a template in an env's stack; undefined if it is not there. */
export const entryOf = (row: EnvRow, templateId: number): StackEntry | undefined =>
  row.stack.find((entry) => entry.templateId === templateId);

/** True if the env follows the template, so that a patch moves it. Canaries follow, too. */
export const follows = ({ entry }: TemplateUser): boolean => entry.pinned === null;

/** Returns the envs that a patch of the template moves, oldest first. */
export const followersOf = (store: Store, templateId: number): EnvRow[] =>
  usersOf(store, templateId)
    .filter(follows)
    .map(({ row }) => row);

/** Changes to an env's entry for a template. */
export type EntryChanges = Partial<Pick<StackEntry, 'pinned' | 'canary'>>;

/** Returns the row with changes to its entry for the template. */
export function withEntry(row: EnvRow, templateId: number, changes: EntryChanges): EnvRow {
  const stack = row.stack.map((entry) =>
    entry.templateId === templateId ? { ...entry, ...changes } : entry,
  );
  return { ...row, stack };
}
