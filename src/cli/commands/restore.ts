import path from 'node:path';
import type { Command } from 'commander';
import { restoreEnv } from '../../services/restore-env.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { interruption } from '../interruption.ts';
import { printNotes } from '../notes.ts';
import { printLines } from '../print.ts';
import { append } from '../repeated.ts';
import { interruptible, withStore } from '../session.ts';
import { printResult } from '../table.ts';

interface Options {
  readonly sameIdentity?: boolean;
  readonly base: readonly string[];
}

/** Defines the command `byref restore`. */
export default function build(): Command {
  return defineWaiting(
    'restore <file> [name]',
    'Make an env of a backup, under the name that it had or another one; - is standard input.',
  )
    .option('--same-identity', 'machine id, ssh host keys and ports stay as they were')
    .option('--base <backup>', 'a backup that it builds on; may be repeated', append, [])
    .action(async (given: string, name: string | undefined, options: Options) => {
      const context = contextOf(options);
      const file = given === '-' || given === '' ? given : path.resolve(given);
      const { signal, release } = interruption();
      const made = await withStore(interruptible(context, signal), 'write', (store) => {
        const { sameIdentity = false } = options;
        const bases = options.base.map((each) => path.resolve(each));
        const note = (text: string): void => printNotes([text]);
        const wanted = { file, bases, name: name ?? null, sameIdentity };
        return restoreEnv(store, wanted, { signal, note });
      }).finally(release);
      if (context.json) printResult('restore', made);
      else printLines(`restored ${made.name} (id ${made.id}) from ${given}`);
    });
}
