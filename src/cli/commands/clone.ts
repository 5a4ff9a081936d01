import type { Command } from 'commander';
import type { EnvSummary } from '../../manager/envs/summary.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { cloneEnv } from '../../services/clone-env.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { expandNames } from '../env-names.ts';
import { interruption } from '../interruption.ts';
import { printNotes } from '../notes.ts';
import { parseCount } from '../numbers.ts';
import { printLines } from '../print.ts';
import { interruptible, withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref clone`. */
export default function build(): Command {
  return defineWaiting(
    'clone <env> <name>',
    'Make an env like another one, which has to be stopped: stack, settings, and all that it changed.',
  )
    .option(
      '--count <n>',
      'so many: web makes web1, web2, ...; web-%02d web-01, web-02, ...',
      parseCount,
    )
    .action(async (env: string, name: string, options: { count?: number }) => {
      const context = contextOf(options);
      const { patience } = context;
      const { signal, release } = interruption();
      const made: EnvSummary[] = [];
      await withStore(interruptible(context, signal), 'write', async (store) => {
        const source = needPeoplesEnv(store, env);
        const names = expandNames([name], options.count ?? null, (each) =>
          store.refuseEnvName(each),
        );
        for (const each of names) {
          const { summary, notes } = await cloneEnv(store, source, each.name, { patience, signal });
          if (made.length === 0) printNotes(notes);
          made.push(summary);
          if (!context.json) printLines(`cloned ${summary.name} (id ${summary.id}) from ${env}`);
        }
      }).finally(release);
      if (context.json) printResult('clone', made);
    });
}
