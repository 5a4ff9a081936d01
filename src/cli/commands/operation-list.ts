import type { Command } from 'commander';
import { DaemonClient } from '../../api/client.ts';
import { contextOf, define } from '../command.ts';
import { OPERATION_COLUMNS } from '../operation-text.ts';
import { printResult, printTable, type TableOptions, tableOptions } from '../table.ts';

/** Defines the command `byref operation list`. */
export default function build(): Command {
  const command = define('operation list', 'List what the daemon executes, and has executed.');
  tableOptions(
    command,
    OPERATION_COLUMNS.map(({ field }) => field),
  );
  return command.action(async (options: TableOptions) => {
    const { root, json } = contextOf(options);
    const daemon = await DaemonClient.need(root);
    const operations = await daemon.operations();
    if (json) printResult('operation list', operations);
    else printTable(operations, OPERATION_COLUMNS, options);
  });
}
