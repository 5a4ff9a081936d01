import path from 'node:path';
import type { Command } from 'commander';
import { formatSize } from '../../base/size.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { checkpointEnv } from '../../services/checkpoint-env.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { interruption } from '../interruption.ts';
import { printLines } from '../print.ts';
import { interruptible, withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref checkpoint`. */
export default function build(): Command {
  return defineWaiting(
    'checkpoint <env> <dir>',
    'Put the programs of a running env to sleep, into a directory: they take no memory then. byref start --from-checkpoint lets them go on.',
  ).action(async (env: string, dir: string, options: object) => {
    const context = contextOf(options);
    const { patience } = context;
    const { signal, release } = interruption();
    const done = await withStore(interruptible(context, signal), 'read', (store) =>
      checkpointEnv(store, needPeoplesEnv(store, env), path.resolve(dir), { patience, signal }),
    ).finally(release);
    if (context.json) printResult('checkpoint', done);
    else {
      const { name, processes, bytes, directory } = done;
      const count = processes === 1 ? '1 process' : `${processes} processes`;
      printLines(
        `${name}: ${count} in ${directory}, ${formatSize(bytes)}`,
        `They go on with: byref start ${name} --from-checkpoint ${dir}`,
      );
    }
  });
}
