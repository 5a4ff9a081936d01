import path from 'node:path';
import type { Command } from 'commander';
import { restoreEnv } from '../../services/restore-env.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { interruption } from '../interruption.ts';
import { printNotes } from '../notes.ts';
import { printLines } from '../print.ts';
import { interruptible, withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref restore`. */
export default function build(): Command {
  return defineWaiting(
    'restore <file> [name]',
    'Make an env of a backup, under the name that it had or another one; - is standard input.',
  )
    .option('--same-identity', 'machine id, ssh host keys and ports stay as they were')
    .action(
      async (given: string, name: string | undefined, options: { sameIdentity?: boolean }) => {
        const context = contextOf(options);
        const file = given === '-' || given === '' ? given : path.resolve(given);
        const { signal, release } = interruption();
        const made = await withStore(interruptible(context, signal), 'write', (store) => {
          const { sameIdentity = false } = options;
          const note = (text: string): void => printNotes([text]);
          return restoreEnv(store, { file, name: name ?? null, sameIdentity }, { signal, note });
        }).finally(release);
        if (context.json) printResult('restore', made);
        else printLines(`restored ${made.name} (id ${made.id}) from ${given}`);
      },
    );
}
