import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { makeRoot } from '../../services/make-root.ts';
import { contextOf, define } from '../command.ts';
import { parseCount } from '../numbers.ts';
import { printLines } from '../print.ts';
import { printResult } from '../table.ts';

/** More drivers than this rarely help, since the kernel does most of the work. */
const SHARDS_MAX_DEFAULT = 4;

/** Defines the command `byref init`. */
export default function build(): Command {
  return define('init', 'Make a root: the directory that holds templates, envs and all objects.')
    .option(
      '--shards <n>',
      'driver processes that envs are spread over (CPUs, at most 4)',
      parseCount,
    )
    .action(async (options: { shards?: number }) => {
      const { root, json } = contextOf(options);
      const shards = options.shards ?? Math.min(availableParallelism(), SHARDS_MAX_DEFAULT);
      const made = await makeRoot(root, shards);
      if (json) {
        printResult('init', made);
        return;
      }
      printLines(`made ${root}, with ${shards} shard${shards === 1 ? '' : 's'}`);
      for (const { name, found, cost } of made.checks) {
        if (name.startsWith('root.')) printLines(`  ${name}: ${found}${cost && `: ${cost}`}`);
      }
    });
}
