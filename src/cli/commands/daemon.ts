import type { Command } from 'commander';
import type { DaemonWishes } from '../../api/daemon.ts';
import { ByrefError } from '../../base/error.ts';
import { importProgram } from '../../base/program-files.ts';
import { define } from '../command.ts';
import { printOwn } from '../print.ts';
import { DEFAULT_ROOT, resolveRoot } from '../root.ts';
import { unitText } from '../systemd-unit.ts';

interface Options {
  readonly root?: string;
  readonly config?: string;
  readonly unit?: boolean;
}

/** Defines the command `byref daemon`. */
export default function build(): Command {
  return define(
    'daemon',
    'Run the manager of a root in the foreground: its API, operations, events, metrics, and restarts of envs.',
  )
    .option(
      '--config <file>',
      'its configuration (BYREF_CONFIG; /etc/byref/daemon.yaml, if it is there)',
    )
    .option('--unit', 'print a unit for systemd, and do nothing else')
    .action(async ({ root, config, unit = false }: Options) => {
      if (unit) {
        printOwn(unitText());
        return;
      }
      const named = root ?? process.env['BYREF_ROOT'];
      // A program of its own: other commands are spared what it needs.
      const { runDaemon } = (await importProgram('api/daemon')) as {
        runDaemon: (wishes: DaemonWishes) => Promise<void>;
      };
      await runDaemon({
        config,
        root: named === undefined || named === '' ? null : resolveRoot(named),
        standardRoot: DEFAULT_ROOT,
      }).catch((error: unknown) => {
        throw asOurs(error);
      });
    });
}

/** Errors of another program are of its own class, which is not this one's. */
function asOurs(error: unknown): unknown {
  if (!(error instanceof Error) || error.name !== 'ByrefError') return error;
  const { code, lines, hint } = error as Pick<ByrefError, 'code' | 'lines' | 'hint'> & Error;
  return new ByrefError(code, lines, hint);
}
