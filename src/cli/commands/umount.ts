import type { Command } from 'commander';
import { envStates } from '../../env/state.ts';
import { type UmountOutcome, umountEnv } from '../../env/umount.ts';
import { contextOf, define } from '../command.ts';
import { chooseEnvs, forEachEnv } from '../each-env.ts';
import { withStore } from '../session.ts';

interface Options {
  readonly lazy?: boolean;
  readonly force?: boolean;
  readonly all?: boolean;
}

const TEXT: Record<UmountOutcome, string> = {
  unmounted: 'unmounted',
  detached: 'detached; ends when the last program lets go of it',
  'not-mounted': 'not mounted',
};

export default function build(): Command {
  return define('umount [env...]', 'Unmount envs, and wait until all they wrote is in place.')
    .option('-a, --all', 'every env that is mounted')
    .option('-l, --lazy', 'detach now; it ends when nobody uses it any more')
    .option('-f, --force', 'end it now: programs that use it get errors')
    .action(async (names: string[], options: Options) => {
      const context = contextOf(options);
      const { lazy = false, force = false, all = false } = options;
      await withStore(context, 'read', async (store) => {
        const envs = await envStates(store, chooseEnvs(store, names, all));
        return forEachEnv(
          context,
          envs.filter(({ state }) => !all || state !== 'stopped'),
          async (env) => ({
            env: env.row.id,
            name: env.row.name,
            outcome: await umountEnv(store, env, { lazy, force }),
          }),
          ({ name, outcome }) => `${name}: ${TEXT[outcome]}`,
        );
      });
    });
}
