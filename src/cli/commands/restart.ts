import type { Command } from 'commander';
import { startEnv, stopEnv } from '../../services/start-env.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { chooseEnvs, forEachEnv } from '../each-env.ts';
import { printNotes } from '../notes.ts';
import { withStore } from '../session.ts';
import { type StopWords, stopOptions, stopTimeout } from '../stop-options.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref restart`. */
export default function build(): Command {
  const command = defineWaiting('restart <env...>', 'Stop envs, and start them again.');
  return stopOptions(command).action(async (names: string[], options: StopWords) => {
    const context = contextOf(options);
    const { patience } = context;
    const timeoutMs = stopTimeout(options);
    const note = (text: string): void => printNotes([text]);
    const started = await withStore(context, 'read', (store) =>
      forEachEnv(
        context,
        chooseEnvs(context, store, names, false),
        async (row) => {
          await stopEnv(store, row, { timeoutMs }, patience);
          return (await startEnv(store, row, {}, { patience, note })).started;
        },
        ({ name, pid }) => [`${name}: restarted (pid ${pid})`],
      ),
    );
    if (context.json) printResult('restart', started);
  });
}
