import type { Command } from 'commander';
import { pinEnv } from '../../manager/rollout/pin.ts';
import { needTemplate } from '../../manager/rollout/target.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { contextOf, defineWaiting, interruptible } from '../command.ts';
import { type DependenciesOption, dependenciesOption, policiesOf } from '../dependencies-option.ts';
import { type DpkgWaitOption, dpkgWait, dpkgWaitOption, exitFor } from '../dpkg-wait.ts';
import { interruption } from '../interruption.ts';
import { describePatch } from '../patch-text.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { printJson } from '../table.ts';

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
        pinEnv(store, needPeoplesEnv(store, envName), needTemplate(store, name), null, {
          signal,
          policies: policiesOf(options),
          ...dpkgWait(context, options),
        }),
      ).finally(release);
      if (context.json) printJson(record);
      else
        printLines(...(record === null ? [`${envName}: follows already`] : describePatch(record)));
      exitFor(record);
    },
  );
}
