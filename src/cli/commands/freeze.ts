import type { Command } from 'commander';
import { freezeEnv } from '../../services/freeze-env.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { chooseEnvs, forEachEnv } from '../each-env.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref freeze`. */
export default function build(): Command {
  return defineWaiting(
    'freeze <env...>',
    'Make all programs of running envs stand still, until byref thaw. They take no processor then; their memory stays.',
  ).action(async (names: string[], options: object) => {
    const context = contextOf(options);
    const done = await withStore(context, 'read', (store) =>
      forEachEnv(
        context,
        chooseEnvs(context, store, names, false),
        (row) => freezeEnv(store, row, context.patience),
        ({ name, already }) => [`${name}: ${already ? 'frozen already' : 'frozen'}`],
      ),
    );
    if (context.json) printResult('freeze', done);
  });
}
