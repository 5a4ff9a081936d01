import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { keySummaries } from '../../manager/envs/settings.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { changeSettings } from '../../services/env-settings.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { printNotes } from '../notes.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { settingOptions, settingsGiven } from '../setting-options.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref set`. */
export default function build(): Command {
  const keys = keySummaries().map(([name, summary]) => `  ${name.padEnd(KEY_WIDTH)} ${summary}`);
  const command = defineWaiting(
    'set <env> [key=value...]',
    'Set what an env may use and how it starts; limits of a running env change at once.',
  ).option('--save', 'changes nothing: what is set is always kept');
  return settingOptions(command)
    .addHelpText('after', ['', 'Keys; an empty value takes one back:', ...keys].join('\n'))
    .action(async (name: string, assignments: string[], options: object) => {
      const context = contextOf(options);
      const all = [...(await settingsGiven(options)), ...assignments];
      if (all.length === 0) {
        const hint = `Write KEY=VALUE, or see what is set: byref info ${name}`;
        throw new ByrefError('usage', 'nothing to set', hint);
      }
      const changed = await withStore(context, 'write', (store) =>
        changeSettings(store, needPeoplesEnv(store, name), all, context.patience),
      );
      if (context.json) printResult('set', changed);
      else {
        const { settings, atNextStart, notes } = changed;
        printLines(...Object.entries(settings).map(([key, value]) => `${key}=${value}`));
        if (atNextStart.length > 0)
          printLines(`${name} runs: ${atNextStart.join(', ')} from its next start on`);
        printNotes(notes);
      }
    });
}

const KEY_WIDTH = 24;
