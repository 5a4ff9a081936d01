import type { Command } from 'commander';
import { DriverLinks } from '../../manager/envs/driver-links.ts';
import { type Holding, holdingNamespaces } from '../../manager/envs/holding-namespaces.ts';
import { envStates } from '../../manager/envs/state.ts';
import { beginUmount, type UmountOutcome } from '../../manager/envs/umount.ts';
import { abandonedEnvs } from '../../manager/sandbox/owner.ts';
import { contextOf, define } from '../command.ts';
import { chooseEnvs, forEachEnvAtOnce } from '../each-env.ts';
import { sayLines } from '../print.ts';
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

const WRITING = ' until its driver has closed it';

interface Umounted {
  readonly env: number;
  readonly name: string;
  readonly outcome: UmountOutcome;
  readonly heldBy: readonly Holding[];
}

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
      await withStore(context, 'read', async (store) => {
        const drivers = new DriverLinks(store.root);
        const chosen = chooseEnvs(context, store, names, all);
        // Scratch envs that a killed build left mounted are unmounted, too.
        const left = all ? abandonedEnvs(store) : [];
        const envs = await envStates(store, [...chosen, ...left]);
        await forEachEnvAtOnce(
          context,
          envs.filter(({ state }) => !all || state !== 'stopped'),
          async (env) => {
            const { id, name } = env.row;
            const say = (heldBy: readonly Holding[]): void =>
              sayLines(`${name}: waiting${heldBy.length > 0 ? heldText(heldBy) : WRITING}`);
            const { ended } = await beginUmount(drivers, env, { lazy, force }, say);
            const result = async (): Promise<Umounted> => {
              const outcome = await ended;
              const isHeld = outcome === 'detached';
              const heldBy = isHeld ? holdingNamespaces(store.root, id) : [];
              return { env: id, name, outcome, heldBy };
            };
            return { ended: result() };
          },
          ({ name, outcome, heldBy }) => [`${name}: ${TEXT[outcome]}${heldText(heldBy)}`],
        ).finally(() => drivers.close());
      });
    });
}
