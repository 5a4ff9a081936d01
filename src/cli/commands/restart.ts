import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { EXIT } from '../../base/exit-codes.ts';
import { restartStale, type StaleRestarted } from '../../services/restart-stale.ts';
import { type EnvStarted, startEnv, stopEnv } from '../../services/start-env.ts';
import type { Store } from '../../store/store.ts';
import { type Context, contextOf, defineWaiting } from '../command.ts';
import { chooseEnvs, forEachEnv } from '../each-env.ts';
import { setExitCode } from '../output.ts';
import { printLines } from '../print.ts';
import { checkReady, type ReadyWords, readyIfWanted, readyOptions } from '../ready-options.ts';
import { withStore } from '../session.ts';
import { startHooks } from '../start-hooks.ts';
import { type StopWords, stopOptions, stopTimeout } from '../stop-options.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref restart`. */
export default function build(): Command {
  const command = defineWaiting('restart [env...]', 'Stop envs, and start them again.').option(
    '--stale',
    'only what a patch has left on old files: services of systemd, or else the env',
  );
  return readyOptions(stopOptions(command)).action(async (names: string[], options: Options) => {
    const context = contextOf(options);
    checkReady(options);
    if (options.stale === true) {
      if (options.ready === true) {
        const message = '--ready does not go with --stale';
        throw new ByrefError('usage', message, 'Leave one of them out.');
      }
      const done = await withStore(context, 'read', (store) =>
        stale(context, store, names, options),
      );
      if (context.json) printResult('restart --stale', done);
      return;
    }
    const started = await withStore(context, 'read', (store) =>
      restart(context, store, names, options),
    );
    if (context.json) printResult('restart', started);
  });
}

interface Options extends StopWords, ReadyWords {
  readonly stale?: boolean;
}

function restart(
  context: Context,
  store: Store,
  names: readonly string[],
  options: Options,
): Promise<EnvStarted[]> {
  return forEachEnv(
    context,
    chooseEnvs(context, store, names, false),
    async (row) => {
      await stopEnv(store, row, { timeoutMs: stopTimeout(options) }, context.patience);
      const { started } = await startEnv(store, row, {}, startHooks(context));
      return readyIfWanted(store, row, started, options);
    },
    ({ name, pid }) => [`${name}: restarted (pid ${pid})`],
  );
}

/** Restarts what is stale in the named envs; in all if none is named. */
async function stale(
  context: Context,
  store: Store,
  names: readonly string[],
  options: Options,
): Promise<StaleRestarted[]> {
  const rows = chooseEnvs(context, store, names, names.length === 0);
  const done = await restartStale(store, rows, stopTimeout(options), startHooks(context));
  if (!context.json) printLines(...(done.length === 0 ? ['nothing is stale'] : done.flatMap(text)));
  if (done.some(({ left }) => left.length > 0)) setExitCode(EXIT.pending);
  return done;
}

const HOW: Record<StaleRestarted['how'], string> = {
  units: 'restarted',
  env: 'restarted as a whole',
  none: 'nothing restarted: its programs were not started by byref',
};

function text({ name, how, units, left }: StaleRestarted): string[] {
  const what = how === 'units' ? ` ${units.join(', ')}` : '';
  const still = [...new Map(left.map((each) => [each.pid, each])).values()];
  return [
    `${name}: ${HOW[how]}${what}`,
    ...still.map(({ pid, program }) => `  ${program} (pid ${pid}) still uses old files`),
  ];
}
