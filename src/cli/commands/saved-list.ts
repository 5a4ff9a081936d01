import type { Command } from 'commander';
import { formatSize } from '../../base/size.ts';
import { listSaved, type SavedEntry } from '../../manager/rollout/saved.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { contextOf, define } from '../command.ts';
import { output } from '../output.ts';
import { withStore } from '../session.ts';
import { type Column, printResult, printTable, type TableOptions, tableOptions } from '../table.ts';

const size = (bytes: number): string => (output().stdout.isTTY ? formatSize(bytes) : String(bytes));

const COLUMNS: readonly Column<SavedEntry>[] = [
  { field: 'path', standard: true, text: (row) => row.path },
  { field: 'patch', standard: true, right: true, text: (row) => String(row.patch) },
  { field: 'size', standard: true, right: true, text: (row) => size(row.size) },
  { field: 'changed', standard: true, text: (row) => row.changed },
];

/** Defines the command `byref saved list`. */
export default function build(): Command {
  const command = define('saved list <env>', 'List the files of an env that patches set aside.');
  tableOptions(
    command,
    COLUMNS.map(({ field }) => field),
  );
  return command.action(async (name: string, options: TableOptions) => {
    const context = contextOf(options);
    const saved = await withStore(context, 'read', (store) =>
      listSaved(store, needPeoplesEnv(store, name)),
    );
    if (context.json) printResult('saved list', saved);
    else printTable(saved, COLUMNS, options);
  });
}
