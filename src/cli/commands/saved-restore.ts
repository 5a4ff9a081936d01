import type { Command } from 'commander';
import { copySaved, restoreSaved } from '../../manager/rollout/saved.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { contextOf, define } from '../command.ts';
import { parseCount } from '../numbers.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

interface Options {
  readonly patch?: number;
  readonly to?: string;
}

/** Defines the command `byref saved restore`. */
export default function build(): Command {
  return define(
    'saved restore <env> <path>',
    'Put a file that a patch set aside back under its name.',
  )
    .option('--patch <id>', 'the one that this patch set aside (the newest)', parseCount)
    .option('--to <file>', 'copy it to the host instead, and leave the env as it is')
    .action(async (name: string, path: string, options: Options) => {
      const context = contextOf(options);
      const { patch = null, to } = options;
      const entry = await withStore(context, 'read', (store) => {
        const row = needPeoplesEnv(store, name);
        return to === undefined
          ? restoreSaved(store, row, path, patch)
          : copySaved(store, row, path, patch, to);
      });
      if (context.json) printResult('saved restore', entry);
      else printLines(`${name}: ${path} ${to === undefined ? 'put back' : `copied to ${to}`}`);
    });
}
