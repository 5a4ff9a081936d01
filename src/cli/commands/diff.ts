import type { Command } from 'commander';
import { envDiff } from '../../manager/envs/diff.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { changeLine } from '../change-line.ts';
import { contextOf, define } from '../command.ts';
import { printLines, printNulEnded } from '../print.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref diff`. */
export default function build(): Command {
  return define('diff <env>', 'Show what an env added (A), changed (C) and deleted (D).')
    .option('-z, --null', 'lines whole, as they are, with a NUL at the end of each')
    .action(async (name: string, options: { readonly null?: boolean }) => {
      const context = contextOf(options);
      const changes = await withStore(context, 'read', (store) =>
        envDiff(store, needPeoplesEnv(store, name)),
      );
      if (context.json) printResult('diff', changes);
      else if (options.null === true) {
        printNulEnded(...changes.map(({ kind, path }) => `${kind} ${path}`));
      } else printLines(...changes.map(changeLine));
    });
}
