import path from 'node:path';
import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { envStates } from '../../manager/envs/state.ts';
import { startServers } from '../../services/mount-env.ts';
import {
  autostartEnvs,
  type EnvStarted,
  STARTED_AT_ONCE,
  startEnv,
} from '../../services/start-env.ts';
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
  readonly fromCheckpoint?: string;
}

/** Returns the envs in groups, of which each is started when the one before it was. */
function chosen(
  context: Context,
  store: Store,
  names: readonly string[],
  { all = false, autostart = false }: Options,
): EnvRow[][] {
  if (!autostart) return [chooseEnvs(context, store, names, all)];
  if (all || names.length > 0) {
    const message = '--autostart takes neither names nor --all';
    throw new ByrefError('usage', message, 'Leave those out.');
  }
  return autostartEnvs(store);
}

async function start(
  context: Context,
  store: Store,
  rows: readonly EnvRow[],
  options: Options,
): Promise<EnvStarted[]> {
  // Else each of the first ones would start them, and all but one in vain.
  const states = rows.length > 1 ? await envStates(store, rows) : [];
  const servers = await startServers(context.root, states);
  const { fromCheckpoint } = options;
  const from = fromCheckpoint === undefined ? {} : { from: path.resolve(fromCheckpoint) };
  return forEachEnvAtOnce(
    context,
    rows,
    async (row) => {
      const { started } = await startEnv(store, row, from, startHooks(context));
      return { ended: readyIfWanted(store, row, started, options) };
    },
    ({ name, pid, already }) => [
      already ? `${name}: runs already (pid ${pid})` : `${name}: started (pid ${pid})`,
    ],
    STARTED_AT_ONCE,
  ).finally(() => servers?.close());
}

const oneEnv = (): ByrefError =>
  new ByrefError(
    'usage',
    '--from-checkpoint takes one env',
    'Name the env that the checkpoint is of.',
  );

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
    )
    .option('--from-checkpoint <dir>', 'its programs go on from where byref checkpoint put them');
  return readyOptions(command).action(async (names: string[], options: Options) => {
    const context = contextOf(options);
    checkReady(options);
    if (options.fromCheckpoint !== undefined && names.length !== 1) throw oneEnv();
    const started = await withStore(context, 'read', async (store) => {
      const done: EnvStarted[] = [];
      for (const rows of chosen(context, store, names, options))
        done.push(...(await start(context, store, rows, options)));
      return done;
    });
    if (context.json) printResult('start', started);
  });
}
