import type { Command } from 'commander';
import { formatSize } from '../../base/size.ts';
import type { EnvProcess } from '../../manager/envs/runtime/processes.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { envProcesses } from '../../services/env-processes.ts';
import { contextOf, define } from '../command.ts';
import { withStore } from '../session.ts';
import { type Column, printResult, printTable, type TableOptions, tableOptions } from '../table.ts';

const COLUMNS: readonly Column<EnvProcess>[] = [
  { field: 'pid', standard: true, right: true, text: ({ insidePid }) => String(insidePid) },
  { field: 'machine-pid', standard: true, right: true, text: ({ pid }) => String(pid) },
  {
    field: 'user',
    standard: true,
    right: true,
    text: ({ uid }) => (uid === null ? '?' : String(uid)),
  },
  {
    field: 'time',
    standard: true,
    right: true,
    text: ({ cpuMs }) => `${(cpuMs / 1000).toFixed(1)}s`,
  },
  { field: 'memory', standard: true, right: true, text: (each) => formatSize(each.memoryBytes) },
  { field: 'service', standard: true, text: ({ service }) => service ?? '-' },
  { field: 'command', standard: true, text: ({ command }) => command },
];

/** Defines the command `byref ps`. */
export default function build(): Command {
  const command = define('ps <env>', 'List the processes of a running env.');
  tableOptions(
    command,
    COLUMNS.map(({ field }) => field),
  );
  return command.action(async (env: string, options: TableOptions) => {
    const context = contextOf(options);
    const processes = await withStore(context, 'read', (store) =>
      envProcesses(store, needPeoplesEnv(store, env)),
    );
    if (context.json) printResult('ps', processes);
    else printTable(processes, COLUMNS, options);
  });
}
