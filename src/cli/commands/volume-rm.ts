import type { Command } from 'commander';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { takeVolume } from '../../services/env-volumes.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { startHooks } from '../start-hooks.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref volume rm`. */
export default function build(): Command {
  return defineWaiting(
    'volume rm <env> <path>',
    'Take a volume away; the env has at that path what it had before.',
  )
    .option('-f, --force', 'also what it holds')
    .action(async (env: string, at: string, options: { force?: boolean }) => {
      const context = contextOf(options);
      const volume = await withStore(context, 'write', (store) =>
        takeVolume(
          store,
          needPeoplesEnv(store, env),
          at,
          options.force ?? false,
          startHooks(context),
        ),
      );
      if (context.json) printResult('volume rm', volume);
      else printLines(`${env}: ${volume.path} is no volume any more`);
    });
}
