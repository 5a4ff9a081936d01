import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import { removeSaved } from '../../manager/rollout/saved.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { contextOf, define } from '../command.ts';
import { parseCount } from '../numbers.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

interface Options {
  readonly patch?: number;
  readonly all?: boolean;
}

/** Defines the command `byref saved rm`. */
export default function build(): Command {
  return define('saved rm <env> [path]', 'Give up files that a patch set aside.')
    .option('--patch <id>', 'those that this patch set aside', parseCount)
    .option('--all', 'all of the env')
    .action(async (name: string, path: string | undefined, options: Options) => {
      const context = contextOf(options);
      const { patch = null, all = false } = options;
      if (path === undefined && patch === null && !all) {
        throw new ByrefError('usage', 'nothing named', 'Name a path, or say --patch ID or --all.');
      }
      const removed = await withStore(context, 'read', (store) =>
        removeSaved(store, needPeoplesEnv(store, name), path ?? null, patch),
      );
      if (context.json) printResult('saved rm', removed);
      else printLines(...removed.map((entry) => `${name}: ${entry.path} removed`));
    });
}
