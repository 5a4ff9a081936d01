import type { Command } from 'commander';
import { createEnv } from '../../env/create.ts';
import { summaryOf } from '../../env/summary.ts';
import { contextOf, defineWaiting, interruptible } from '../command.ts';
import { interruption } from '../interruption.ts';
import { printNotes } from '../notes.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { printJson } from '../table.ts';

interface Options {
  readonly os: string;
  readonly app?: readonly string[];
}

const append = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];

export default function build(): Command {
  return defineWaiting('create <env>', 'Make an env from one OS template and any app templates.')
    .requiredOption(
      '--os <template>',
      'NAME (follows its current version) or NAME@VERSION (pinned)',
    )
    .option<readonly string[]>(
      '--app <template>',
      'an app template on top; may be repeated',
      append,
    )
    .action(async (name: string, options: Options) => {
      const context = contextOf(options);
      const { signal, release } = interruption();
      await withStore(interruptible(context, signal), 'write', async (store) => {
        const { row, notes } = await createEnv(
          store,
          { name, os: options.os, apps: options.app ?? [] },
          signal,
        ).finally(release);
        const state = {
          row,
          state: 'stopped',
          mount: null,
          served: null,
          driverPid: null,
        } as const;
        printNotes(notes);
        if (context.json) printJson(summaryOf(state));
        else printLines(`created ${row.name} (id ${row.id})`);
      });
    });
}
