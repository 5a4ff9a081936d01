import type { Command } from 'commander';
import { destroyEnv } from '../../manager/envs/destroy.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { chooseEnvs, forEachEnv } from '../each-env.ts';
import { withStore } from '../session.ts';

/** Defines the command `byref destroy`. */
export default function build(): Command {
  return defineWaiting('destroy <env...>', 'Remove envs and all they hold; their templates stay.')
    .option('-f, --force', 'unmount first: programs that use it get errors')
    .action(async (names: string[], options: { force?: boolean }) => {
      const context = contextOf(options);
      await withStore(context, 'write', (store) =>
        forEachEnv(
          context,
          chooseEnvs(context, store, names, false),
          async (row) => {
            await destroyEnv(store, row, options.force ?? false);
            return { env: row.id, name: row.name, destroyed: true };
          },
          ({ name }) => [`${name}: destroyed`],
        ),
      );
    });
}
