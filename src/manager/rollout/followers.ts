/** Which envs have a template, and at which version. */

import type { EnvRow, StackEntry, Store } from '../../store/store.ts';
import { peoplesEnvs } from '../sandbox/owner.ts';

/** An env that has the template in its stack. */
export interface TemplateUser {
  readonly row: EnvRow;
  readonly entry: StackEntry;
}

/** All envs of people that have it, oldest first: those that follow it, those that are pinned, and canaries. */
export function usersOf(store: Store, templateId: number): TemplateUser[] {
  return peoplesEnvs(store).flatMap((row) => {
    const entry = entryOf(row, templateId);
    return entry === undefined ? [] : [{ row, entry }];
  });
}

export const entryOf = (row: EnvRow, templateId: number): StackEntry | undefined =>
  row.stack.find((entry) => entry.templateId === templateId);

/** Follows the template: a patch moves it. */
export const follows = ({ entry }: TemplateUser): boolean => entry.pinned === null;

/** Envs that a patch moves, oldest first. */
export const followersOf = (store: Store, templateId: number): EnvRow[] =>
  usersOf(store, templateId)
    .filter(follows)
    .map(({ row }) => row);

export type EntryChanges = Partial<Pick<StackEntry, 'pinned' | 'canary'>>;

/** The row with another entry for the template. */
export function withEntry(row: EnvRow, templateId: number, changes: EntryChanges): EnvRow {
  const stack = row.stack.map((entry) =>
    entry.templateId === templateId ? { ...entry, ...changes } : entry,
  );
  return { ...row, stack };
}
