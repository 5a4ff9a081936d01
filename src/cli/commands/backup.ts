import path from 'node:path';
import type { Command } from 'commander';
import { formatSize } from '../../base/size.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { backupEnv } from '../../services/backup-env.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { interruption } from '../interruption.ts';
import { printLines } from '../print.ts';
import { interruptible, withStore } from '../session.ts';
import { printResult } from '../table.ts';

interface Options {
  readonly withTemplates?: boolean;
  readonly incrementalFrom?: string;
}

const filesText = (count: number): string => `${count} ${count === 1 ? 'file' : 'files'}`;

/** Defines the command `byref backup`. */
export default function build(): Command {
  return defineWaiting(
    'backup <env> <file>',
    'Write what an env is, and all that it has of its own, as it is at this moment; - is standard output. byref restore makes an env of it.',
  )
    .option('--with-templates', 'the versions of its templates, too, for a machine that lacks them')
    .option(
      '--incremental-from <backup>',
      'of its private files only those that changed since that backup, which restore has to have, too',
    )
    .action(async (env: string, target: string, options: Options) => {
      const context = contextOf(options);
      const { patience } = context;
      const file = target === '-' || target === '' ? target : path.resolve(target);
      const { signal, release } = interruption();
      const made = await withStore(interruptible(context, signal), 'write', (store) => {
        const { withTemplates = false, incrementalFrom } = options;
        const base = incrementalFrom === undefined ? null : path.resolve(incrementalFrom);
        const row = needPeoplesEnv(store, env);
        return backupEnv(store, row, { file, withTemplates, base }, { patience, signal });
      }).finally(release);
      if (target === '-') return;
      if (context.json) printResult('backup', made);
      else {
        const { bytes, files, unchanged, frozenMs } = made;
        const still = frozenMs === null ? '' : `, which stood still for ${frozenMs} ms`;
        printLines(
          `${target}: ${formatSize(bytes)}, with ${filesText(files - unchanged)} of its own, of ${env}${still}`,
          ...(unchanged === 0 ? [] : [`as they were, and not in it: ${filesText(unchanged)}`]),
        );
      }
    });
}
