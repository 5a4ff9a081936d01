import type { Command } from 'commander';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { renameEnv } from '../../services/rename-env.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref rename`. */
export default function build(): Command {
  return defineWaiting(
    'rename <env> <name>',
    'Give an env another name; it has to be stopped.',
  ).action(async (env: string, name: string, options: object) => {
    const context = contextOf(options);
    const renamed = await withStore(context, 'write', (store) =>
      renameEnv(store, needPeoplesEnv(store, env), name, context.patience),
    );
    if (context.json) printResult('rename', renamed);
    else printLines(`${env}: renamed to ${renamed.name}`);
  });
}
