import type { Command } from 'commander';
import { removeEnv } from '../../services/destroy-env.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { chooseEnvs, forEachEnv } from '../each-env.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref destroy`. */
export default function build(): Command {
  return defineWaiting('destroy <env...>', 'Remove envs and all they hold; their templates stay.')
    .option('-f, --force', 'kill what runs in it, and unmount it, first')
    .action(async (names: string[], options: { force?: boolean }) => {
      const context = contextOf(options);
      const destroyed = await withStore(context, 'write', (store) =>
        forEachEnv(
          context,
          chooseEnvs(context, store, names, false),
          (row) => removeEnv(store, row, options.force ?? false, context.patience),
          ({ name }) => [`${name}: destroyed`],
        ),
      );
      if (context.json) printResult('destroy', destroyed);
    });
}
