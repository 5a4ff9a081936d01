import type { Command } from 'commander';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { followTemplate } from '../../services/pin-env.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { type DependenciesOption, dependenciesOption, policiesOf } from '../dependencies-option.ts';
import { type DpkgWaitOption, dpkgWait, dpkgWaitOption, exitFor } from '../dpkg-wait.ts';
import { interruption } from '../interruption.ts';
import { describePatch } from '../patch-text.ts';
import { printLines } from '../print.ts';
import { interruptible, withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref follow`. */
export default function build(): Command {
  const command = defineWaiting(
    'follow <env> <template>',
    'Let a pinned env see the current version of a template, now and from now on.',
  );
  return dependenciesOption(dpkgWaitOption(command)).action(
    async (envName: string, name: string, options: DpkgWaitOption & DependenciesOption) => {
      const context = contextOf(options);
      const { signal, release } = interruption();
      const record = await withStore(interruptible(context, signal), 'write', (store) =>
        followTemplate(store, needPeoplesEnv(store, envName), name, {
          signal,
          policies: policiesOf(options),
          ...dpkgWait(context, options),
        }),
      ).finally(release);
      if (context.json) printResult('follow', record);
      else
        printLines(...(record === null ? [`${envName}: follows already`] : describePatch(record)));
      exitFor(record);
    },
  );
}
