import type { Command } from 'commander';
import { DaemonClient } from '../../api/client.ts';
import { contextOf, define } from '../command.ts';
import { parseCount } from '../numbers.ts';
import { printLines } from '../print.ts';
import { printResult } from '../table.ts';

/** Defines the command `byref operation cancel`. */
export default function build(): Command {
  return define(
    'operation cancel <id>',
    'Ask an operation to end, as Ctrl-C does; a second time, more firmly.',
  ).action(async (text: string, options: object) => {
    const { root, json } = contextOf(options);
    const daemon = await DaemonClient.need(root);
    const operation = await daemon.cancel(parseCount(text));
    if (json) printResult('operation cancel', operation);
    else if (operation.state === 'running') printLines(`operation ${operation.id}: asked to end`);
    else printLines(`operation ${operation.id}: ${operation.state} already`);
  });
}
