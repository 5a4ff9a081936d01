import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { autostartEnvs, startEnv } from '../../services/start-env.ts';
import type { EnvRow, Store } from '../../store/store.ts';
import { type Context, contextOf, defineWaiting } from '../command.ts';
import { chooseEnvs, forEachEnvAtOnce } from '../each-env.ts';
import { checkReady, type ReadyWords, readyIfWanted, readyOptions } from '../ready-options.ts';
import { withStore } from '../session.ts';
import { startHooks } from '../start-hooks.ts';
import { printResult } from '../table.ts';

interface Options extends ReadyWords {
  readonly all?: boolean;
  readonly autostart?: boolean;
}

function chosen(
  context: Context,
  store: Store,
  names: readonly string[],
  { all = false, autostart = false }: Options,
): EnvRow[] {
  if (!autostart) return chooseEnvs(context, store, names, all);
  if (all || names.length > 0) {
    const message = '--autostart takes neither names nor --all';
    throw new ByrefError('usage', message, 'Leave those out.');
  }
  return autostartEnvs(store);
}

/** Defines the command `byref start`. */
export default function build(): Command {
  const command = defineWaiting(
    'start [env...]',
    'Start envs; each is mounted first, if it is not.',
  )
    .option('-a, --all', 'every env')
    .option(
      '--autostart',
      'those with boot.autostart, by boot.autostart.priority: for a machine that boots',
    );
  return readyOptions(command).action(async (names: string[], options: Options) => {
    const context = contextOf(options);
    checkReady(options);
    const started = await withStore(context, 'read', (store) =>
      forEachEnvAtOnce(
        context,
        chosen(context, store, names, options),
        async (row) => {
          const { started: one } = await startEnv(store, row, {}, startHooks(context));
          return { ended: readyIfWanted(store, row, one, options) };
        },
        ({ name, pid, already }) => [
          already ? `${name}: runs already (pid ${pid})` : `${name}: started (pid ${pid})`,
        ],
      ),
    );
    if (context.json) printResult('start', started);
  });
}
