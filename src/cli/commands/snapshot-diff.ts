import type { Command } from 'commander';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { diffSnapshots, type SnapshotDifference } from '../../services/diff-snapshots.ts';
import { changeLine } from '../change-line.ts';
import { contextOf, define } from '../command.ts';
import { printNotes } from '../notes.ts';
import { printLines, printNulEnded } from '../print.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref snapshot diff`. */
export default function build(): Command {
  return define(
    'snapshot diff <env> <snapshot> [later]',
    'Show what an env added (A), changed (C) and deleted (D) since a snapshot, or between two.',
  )
    .option('-z, --null', 'lines whole, as they are, with a NUL at the end of each')
    .action(
      async (
        env: string,
        name: string,
        later: string | undefined,
        options: { readonly null?: boolean },
      ) => {
        const context = contextOf(options);
        const { changes, templates } = await withStore(context, 'read', (store) =>
          diffSnapshots(store, needPeoplesEnv(store, env), name, later ?? null),
        );
        if (context.json) printResult('snapshot diff', { changes, templates });
        else if (options.null === true)
          printNulEnded(...changes.map(({ kind, path }) => `${kind} ${path}`));
        else {
          printLines(...changes.map(changeLine));
          printNotes(templates.map(templateText));
        }
      },
    );
}

function templateText({ from, to }: SnapshotDifference['templates'][number]): string {
  if (from === null) return `${to} was added to its stack`;
  if (to === null) return `${from} was taken out of its stack`;
  return `it saw ${from}, and sees ${to}: byref template diff ${from} ${to}`;
}
