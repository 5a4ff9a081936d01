import type { Command } from 'commander';
import { formatSize } from '../../base/size.ts';
import { needPeoplesEnv, peoplesEnvs } from '../../manager/sandbox/owner.ts';
import { listSnapshots, type SnapshotInfo } from '../../services/list-snapshots.ts';
import { contextOf, define } from '../command.ts';
import { output } from '../output.ts';
import { withStore } from '../session.ts';
import { type Column, printResult, printTable, type TableOptions, tableOptions } from '../table.ts';

const size = (bytes: number): string => (output().stdout.isTTY ? formatSize(bytes) : String(bytes));

const COLUMNS: readonly Column<SnapshotInfo>[] = [
  { field: 'name', standard: true, text: (row) => row.name },
  { field: 'snapshot', standard: true, text: (row) => row.snapshot },
  { field: 'created', standard: true, text: (row) => row.created },
  { field: 'stack', standard: true, text: (row) => row.stack.join(',') },
  { field: 'private', standard: true, right: true, text: (row) => size(row.privateBytes) },
];

/** Defines the command `byref snapshot list`. */
export default function build(): Command {
  const command = define(
    'snapshot list [env]',
    'List the snapshots of an env, or of all envs, oldest first.',
  );
  tableOptions(
    command,
    COLUMNS.map(({ field }) => field),
  );
  return command.action(async (env: string | undefined, options: TableOptions) => {
    const context = contextOf(options);
    const found = await withStore(context, 'read', (store) =>
      listSnapshots(store, env === undefined ? peoplesEnvs(store) : [needPeoplesEnv(store, env)]),
    );
    if (context.json) printResult('snapshot list', found);
    else printTable(found, COLUMNS, options);
  });
}
