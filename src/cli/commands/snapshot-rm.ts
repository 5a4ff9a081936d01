import type { Command } from 'commander';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { removeSnapshot } from '../../services/remove-snapshot.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { forEachEnv } from '../each-env.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref snapshot rm`. */
export default function build(): Command {
  return defineWaiting('snapshot rm <env> <snapshot...>', 'Remove snapshots of an env.').action(
    async (env: string, names: string[], options: object) => {
      const context = contextOf(options);
      const removed = await withStore(context, 'write', (store) =>
        forEachEnv(
          context,
          names,
          (name) => removeSnapshot(store, needPeoplesEnv(store, env), name, context.patience),
          ({ snapshot }) => [`${env}: ${snapshot} removed`],
        ),
      );
      if (context.json) printResult('snapshot rm', removed);
    },
  );
}
