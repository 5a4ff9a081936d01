import type { Command } from 'commander';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { pinEnv } from '../../services/pin-env.ts';
import { parseTemplateRef } from '../../store/names.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { type DependenciesOption, dependenciesOption, policiesOf } from '../dependencies-option.ts';
import { type DpkgWaitOption, dpkgWait, dpkgWaitOption, exitFor } from '../dpkg-wait.ts';
import { interruption } from '../interruption.ts';
import { describePatch } from '../patch-text.ts';
import { printLines } from '../print.ts';
import { interruptible, withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref pin`. */
export default function build(): Command {
  const command = defineWaiting(
    'pin <env> <template>',
    'Keep an env at NAME@VERSION of a template, whatever is patched; at the version it sees now if NAME alone is given.',
  );
  return dependenciesOption(dpkgWaitOption(command)).action(
    async (envName: string, ref: string, options: DpkgWaitOption & DependenciesOption) => {
      const context = contextOf(options);
      const wanted = parseTemplateRef(ref);
      const { signal, release } = interruption();
      const record = await withStore(interruptible(context, signal), 'write', (store) =>
        pinEnv(store, needPeoplesEnv(store, envName), wanted, {
          signal,
          policies: policiesOf(options),
          ...dpkgWait(context, options),
        }),
      ).finally(release);
      if (context.json) printResult('pin', record);
      else
        printLines(...(record === null ? [`${envName}: pinned already`] : describePatch(record)));
      exitFor(record);
    },
  );
}
