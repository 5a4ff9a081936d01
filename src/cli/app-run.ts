/** The common part of `app add` and `app remove`. */
import { needPeoplesEnv } from '../manager/sandbox/owner.ts';
import type { AppOptions, AppsChanged } from '../services/change-apps.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { contextOf } from './command.ts';
import { type DependenciesOption, policiesOf } from './dependencies-option.ts';
import { type DpkgWaitOption, dpkgWait, exitFor } from './dpkg-wait.ts';
import { interruption } from './interruption.ts';
import { printNotes } from './notes.ts';
import { describePatch } from './patch-text.ts';
import { printLines } from './print.ts';
import { interruptible, withStore } from './session.ts';
import { printResult } from './table.ts';

/** Changes the apps of one env and prints what came of it. */
export async function runAppChange(
  verb: 'app add' | 'app remove',
  options: DpkgWaitOption & DependenciesOption,
  env: string,
  change: (store: Store, row: EnvRow, options: AppOptions) => Promise<AppsChanged>,
): Promise<void> {
  const context = contextOf(options);
  const { signal, release } = interruption();
  const { record, notes } = await withStore(interruptible(context, signal), 'write', (store) =>
    change(store, needPeoplesEnv(store, env), {
      signal,
      policies: policiesOf(options),
      ...dpkgWait(context, options),
    }),
  ).finally(release);
  printNotes(notes);
  if (context.json) printResult(verb, record);
  else printLines(...(record === null ? [`${env}: nothing to do`] : describePatch(record)));
  exitFor(record);
}
