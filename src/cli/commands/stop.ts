import type { Command } from 'commander';
import { bundleIds } from '../../manager/envs/runtime/bundle-dir.ts';
import type { StopOutcome } from '../../manager/envs/runtime/life-cycle.ts';
import { stopEnv } from '../../services/start-env.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { chooseEnvs, forEachEnvAtOnce } from '../each-env.ts';
import { withStore } from '../session.ts';
import { type StopWords, stopOptions, stopTimeout } from '../stop-options.ts';
import { printResult } from '../table.ts';

const TEXT: Record<StopOutcome, string> = {
  ended: 'stopped',
  killed: 'killed',
  'not-running': 'not running',
};

/** How many envs are stopped at a time: mostly they are waited for, but to look whether each has ended takes time, too. */
const AT_ONCE = 64;

/** Defines the command `byref stop`. */
export default function build(): Command {
  const command = defineWaiting(
    'stop [env...]',
    'Stop envs: their programs are asked to end, and killed if they do not in time.',
  ).option('-a, --all', 'every env that runs');
  return stopOptions(command).action(
    async (names: string[], options: StopWords & { all?: boolean }) => {
      const context = contextOf(options);
      const timeoutMs = stopTimeout(options);
      const { all = false } = options;
      const stopped = await withStore(context, 'read', (store) => {
        const begun = new Set(bundleIds(store.root));
        const chosen = chooseEnvs(context, store, names, all);
        return forEachEnvAtOnce(
          context,
          chosen.filter(({ id }) => !all || begun.has(id)),
          async (row) => ({ ended: await stopEnv(store, row, { timeoutMs }, context.patience) }),
          ({ name, outcome }) => [`${name}: ${TEXT[outcome]}`],
          AT_ONCE,
        );
      });
      if (context.json) printResult('stop', stopped);
    },
  );
}
