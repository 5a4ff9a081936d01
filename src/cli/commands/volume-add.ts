import type { Command } from 'commander';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { addVolume } from '../../services/env-volumes.ts';
import { contextOf, defineWaiting } from '../command.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { startHooks } from '../start-hooks.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref volume add`. */
export default function build(): Command {
  return defineWaiting(
    'volume add <env> <path[:size]>',
    'Give an env a directory of the machine’s file system, with what it has at that path; with a size, a file system of that size.',
  ).action(async (env: string, at: string, options: object) => {
    const context = contextOf(options);
    const volume = await withStore(context, 'write', (store) =>
      addVolume(store, needPeoplesEnv(store, env), at, startHooks(context)),
    );
    if (context.json) printResult('volume add', volume);
    else printLines(`${env}: ${volume.path} is a volume: ${volume.directory}`);
  });
}
