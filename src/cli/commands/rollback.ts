import type { Command } from 'commander';
import { EXIT } from '../../base/exit-codes.ts';
import { rollBack } from '../../patch/patch.ts';
import { needTemplate } from '../../patch/target.ts';
import { contextOf, defineWaiting, interruptible } from '../command.ts';
import { interruption } from '../interruption.ts';
import { parseCount } from '../numbers.ts';
import { describePatch } from '../patch-text.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { printJson } from '../table.ts';

interface Options {
  readonly to?: number;
  readonly note: string;
}

export default function build(): Command {
  return defineWaiting(
    'rollback <template>',
    'Take all envs that follow a template back to the version before, or canaries to the current one.',
  )
    .option('--to <version>', 'the version (the one that was current before)', parseCount)
    .option('--note <text>', 'what to remember of it', '')
    .action(async (name: string, options: Options) => {
      const context = contextOf(options);
      const { to = null, note } = options;
      const { signal, release } = interruption();
      const record = await withStore(interruptible(context, signal), 'write', (store) =>
        rollBack(store, needTemplate(store, name), { to, note }, signal),
      ).finally(release);
      if (context.json) printJson(record);
      else
        printLines(
          ...(record === null ? [`${name}: nothing to go back to`] : describePatch(record)),
        );
      if (record?.envs.some(({ outcome }) => outcome === 'failed')) process.exitCode = EXIT.error;
    });
}
