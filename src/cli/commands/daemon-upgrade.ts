import type { Command } from 'commander';
import { upgradeDrivers } from '../../services/upgrade-drivers.ts';
import { contextOf, define } from '../command.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref daemon upgrade`. */
export default function build(): Command {
  return define(
    'daemon upgrade',
    'Move mounted envs from running drivers to drivers of this byref. What runs in them goes on.',
  ).action(async (options: object) => {
    const context = contextOf(options);
    const upgraded = await withStore(context, 'read', (store) => upgradeDrivers(store));
    if (context.json) printResult('daemon upgrade', upgraded);
    else if (upgraded.length === 0)
      printLines('no driver runs: the next mount starts one of this byref');
    else
      for (const { shard, envs, from, version } of upgraded)
        printLines(
          `shard ${shard}: ${envs} envs, from a driver of byref ${from} to one of ${version}`,
        );
  });
}
