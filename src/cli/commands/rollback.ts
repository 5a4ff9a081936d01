import type { Command } from 'commander';
import { rollBack } from '../../services/patch-template.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { type DependenciesOption, dependenciesOption, policiesOf } from '../dependencies-option.ts';
import { type DpkgWaitOption, dpkgWait, dpkgWaitOption, exitFor } from '../dpkg-wait.ts';
import { interruption } from '../interruption.ts';
import { parseCount } from '../numbers.ts';
import { describePatch } from '../patch-text.ts';
import { printLines } from '../print.ts';
import { interruptible, withStore } from '../session.ts';
import { printResult } from '../table.ts';

interface Options extends DpkgWaitOption, DependenciesOption {
  readonly to?: number;
  readonly note: string;
}

/** Defines the command `byref rollback`. */
export default function build(): Command {
  const command = defineWaiting(
    'rollback <template>',
    'Take all envs that follow a template back to the version before, or canaries to the current one.',
  );
  return dependenciesOption(dpkgWaitOption(command))
    .option('--to <version>', 'the version (the one that was current before)', parseCount)
    .option('--note <text>', 'what to remember of it', '')
    .action(async (name: string, options: Options) => {
      const context = contextOf(options);
      const { to = null, note } = options;
      const { signal, release } = interruption();
      const record = await withStore(interruptible(context, signal), 'write', (store) =>
        rollBack(
          store,
          name,
          { to, note, policies: policiesOf(options), ...dpkgWait(context, options) },
          { signal },
        ),
      ).finally(release);
      if (context.json) printResult('rollback', record);
      else
        printLines(
          ...(record === null ? [`${name}: nothing to go back to`] : describePatch(record)),
        );
      exitFor(record);
    });
}
