import type { Command } from 'commander';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { cloneEnv, type EnvCloned } from '../../services/clone-env.ts';
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
    'Make an env like another one, as it is at this moment: stack, settings, and all that it changed.',
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
      const made = await withStore(interruptible(context, signal), 'write', (store) => {
        const source = needPeoplesEnv(store, env);
        const names = expandNames([name], options.count ?? null, (each) =>
          store.refuseEnvName(each),
        ).map((each) => each.name);
        const note = (text: string): void => printNotes([text]);
        return cloneEnv(store, source, names, { patience, signal, note });
      }).finally(release);
      if (context.json) printResult('clone', made);
      else for (const each of made) printLines(cloned(each, env));
    });
}

function cloned({ name, id, frozenMs }: EnvCloned, env: string): string {
  const still = frozenMs === null ? '' : `, which stood still for ${frozenMs} ms`;
  return `cloned ${name} (id ${id}) from ${env}${still}`;
}
