import type { Command } from 'commander';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { consoleSocket } from '../../services/env-console.ts';
import { contextOf, define } from '../command.ts';
import { attachConsole } from '../console.ts';
import { withStore } from '../session.ts';

/** Defines the command `byref console`. */
export default function build(): Command {
  return define(
    'console <env>',
    'Connect to the terminal of an env’s first process; Ctrl-] lets go of it.',
  ).action(async (name: string, options: object) => {
    const context = contextOf(options);
    const socket = await withStore(context, 'read', (store) =>
      consoleSocket(store, needPeoplesEnv(store, name)),
    );
    await attachConsole(socket);
  });
}
