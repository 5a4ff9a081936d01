import type { Command } from 'commander';
import { type Holding, holdingNamespaces } from '../../env/holding-namespaces.ts';
import { envStates } from '../../env/state.ts';
import { type UmountOutcome, umountEnv } from '../../env/umount.ts';
import { abandonedEnvs } from '../../scratch/owner.ts';
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

function heldText(heldBy: readonly Holding[]): string {
  if (heldBy.length === 0) return '';
  const who = heldBy.map(({ pid, command }) => `${command} (pid ${pid})`).join(', ');
  return `; a mount namespace of its own has it: that of ${who}`;
}

export default function build(): Command {
  return define('umount [env...]', 'Unmount envs, and wait until all they wrote is in place.')
    .option('-a, --all', 'every env that is mounted')
    .option('-l, --lazy', 'detach now; it ends when nobody uses it any more')
    .option('-f, --force', 'end it now: programs that use it get errors')
    .action(async (names: string[], options: Options) => {
      const context = contextOf(options);
      const { lazy = false, force = false, all = false } = options;
      await withStore(context, 'read', async (store) => {
        const chosen = chooseEnvs(store, names, all);
        // What a build that was killed left mounted goes, too.
        const left = all ? abandonedEnvs(store) : [];
        const envs = await envStates(store, [...chosen, ...left]);
        return forEachEnv(
          context,
          envs.filter(({ state }) => !all || state !== 'stopped'),
          async (env) => {
            const outcome = await umountEnv(store, env, { lazy, force });
            const isHeld = outcome === 'detached';
            const heldBy = isHeld ? holdingNamespaces(store.root, env.row.id) : [];
            return { env: env.row.id, name: env.row.name, outcome, heldBy };
          },
          ({ name, outcome, heldBy }) => [`${name}: ${TEXT[outcome]}${heldText(heldBy)}`],
        );
      });
    });
}
