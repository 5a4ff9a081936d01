import type { Command } from 'commander';
import { keySummaries } from '../../manager/envs/settings.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { changeSettings } from '../../services/env-settings.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref set`. */
export default function build(): Command {
  const keys = keySummaries().map(([name, summary]) => `  ${name.padEnd(KEY_WIDTH)} ${summary}`);
  return defineWaiting(
    'set <env> <key=value...>',
    'Set what an env may use and how it starts; limits of a running env change at once.',
  )
    .addHelpText('after', ['', 'Keys; an empty value takes one back:', ...keys].join('\n'))
    .action(async (name: string, assignments: string[], options: object) => {
      const context = contextOf(options);
      const changed = await withStore(context, 'write', (store) =>
        changeSettings(store, needPeoplesEnv(store, name), assignments, context.patience),
      );
      if (context.json) printResult('set', changed);
      else {
        const { settings, atNextStart } = changed;
        printLines(...Object.entries(settings).map(([key, value]) => `${key}=${value}`));
        if (atNextStart.length > 0)
          printLines(`${name} runs: ${atNextStart.join(', ')} from its next start on`);
      }
    });
}

const KEY_WIDTH = 24;
