import type { Command } from 'commander';
import { DriverLinks } from '../../manager/envs/driver-links.ts';
import type { Holding } from '../../manager/envs/holding-namespaces.ts';
import { envStates } from '../../manager/envs/state.ts';
import { topmostFirst, type UmountOutcome } from '../../manager/envs/umount.ts';
import { abandonedEnvs } from '../../manager/sandbox/owner.ts';
import { beginUnmount } from '../../services/umount-env.ts';
import { contextOf, define } from '../command.ts';
import { chooseEnvs, forEachEnvAtOnce } from '../each-env.ts';
import { sayLines } from '../print.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

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

const WRITING = ' until its driver has closed it';

function heldText(heldBy: readonly Holding[]): string {
  if (heldBy.length === 0) return '';
  const who = heldBy.map(({ pid, command }) => `${command} (pid ${pid})`).join(', ');
  return `; a mount namespace of its own has it: that of ${who}`;
}

/** Defines the command `byref umount`. */
export default function build(): Command {
  return define('umount [env...]', 'Unmount envs, and wait until all they wrote is in place.')
    .option('-a, --all', 'every env that is mounted')
    .option('-l, --lazy', 'detach now; it ends when nobody uses it any more')
    .option('-f, --force', 'end it now: programs that use it get errors')
    .action(async (names: string[], options: Options) => {
      const context = contextOf(options);
      const { lazy = false, force = false, all = false } = options;
      const unmounted = await withStore(context, 'read', async (store) => {
        const drivers = new DriverLinks(store.root);
        const chosen = chooseEnvs(context, store, names, all);
        // Scratch envs that a killed build left mounted are unmounted, too.
        const left = all ? abandonedEnvs(store) : [];
        const envs = topmostFirst(store.root, await envStates(store, [...chosen, ...left]));
        return forEachEnvAtOnce(
          context,
          envs.filter(({ state }) => !all || state !== 'stopped'),
          (env) => {
            const say = (heldBy: readonly Holding[]): void =>
              sayLines(`${env.row.name}: waiting${heldBy.length > 0 ? heldText(heldBy) : WRITING}`);
            return beginUnmount(drivers, env, { lazy, force }, say);
          },
          ({ name, outcome, heldBy }) => [`${name}: ${TEXT[outcome]}${heldText(heldBy)}`],
        ).finally(() => drivers.close());
      });
      if (context.json) printResult('umount', unmounted);
    });
}
