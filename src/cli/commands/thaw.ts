import type { Command } from 'commander';
import { thawEnv } from '../../services/freeze-env.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { chooseEnvs, forEachEnv } from '../each-env.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref thaw`. */
export default function build(): Command {
  return defineWaiting('thaw <env...>', 'Let the programs of frozen envs go on.').action(
    async (names: string[], options: object) => {
      const context = contextOf(options);
      const done = await withStore(context, 'read', (store) =>
        forEachEnv(
          context,
          chooseEnvs(context, store, names, false),
          (row) => thawEnv(store, row, context.patience),
          ({ name, already }) => [`${name}: ${already ? 'not frozen' : 'thawed'}`],
        ),
      );
      if (context.json) printResult('thaw', done);
    },
  );
}
