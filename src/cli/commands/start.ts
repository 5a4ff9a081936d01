import type { Command } from 'commander';
import { startEnv } from '../../services/start-env.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { chooseEnvs, forEachEnv } from '../each-env.ts';
import { printNotes } from '../notes.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref start`. */
export default function build(): Command {
  return defineWaiting('start [env...]', 'Start envs; each is mounted first, if it is not.')
    .option('-a, --all', 'every env')
    .action(async (names: string[], options: { all?: boolean }) => {
      const context = contextOf(options);
      const started = await withStore(context, 'read', (store) =>
        forEachEnv(
          context,
          chooseEnvs(context, store, names, options.all ?? false),
          async (row) => {
            const { patience } = context;
            const note = (text: string): void => printNotes([text]);
            return (await startEnv(store, row, {}, { patience, note })).started;
          },
          ({ name, pid, already }) => [
            already ? `${name}: runs already (pid ${pid})` : `${name}: started (pid ${pid})`,
          ],
        ),
      );
      if (context.json) printResult('start', started);
    });
}
