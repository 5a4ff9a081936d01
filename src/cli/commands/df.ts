import type { Command } from 'commander';
import { formatSize } from '../../base/size.ts';
import { diskUsage, type NamedUsage } from '../../services/disk-usage.ts';
import { contextOf, define } from '../command.ts';
import { output } from '../output.ts';
import { withStore } from '../session.ts';
import { type Column, printResult, printTable, type TableOptions, tableOptions } from '../table.ts';

/** Formats sizes for people on a terminal; prints bytes for programs. */
const size = (bytes: number): string => (output().stdout.isTTY ? formatSize(bytes) : String(bytes));

const COLUMNS: readonly Column<NamedUsage>[] = [
  { field: 'name', standard: true, text: (row) => row.name },
  { field: 'apparent', standard: true, right: true, text: (row) => size(row.apparentBytes) },
  { field: 'private', standard: true, right: true, text: (row) => size(row.privateBytes) },
  { field: 'shared', standard: true, right: true, text: (row) => size(row.sharedBytes) },
  { field: 'files', standard: false, right: true, text: (row) => String(row.privateFiles) },
];

/** Defines the command `byref df`. */
export default function build(): Command {
  const command = define(
    'df [env]',
    'Show apparent, private and shared bytes of an env, or of all.',
  );
  tableOptions(
    command,
    COLUMNS.map(({ field }) => field),
  );
  return command.action(async (name: string | undefined, options: TableOptions) => {
    const context = contextOf(options);
    const rows = await withStore(context, 'read', (store) => diskUsage(store, name ?? null));
    if (context.json) printResult('df', rows);
    else printTable(rows, COLUMNS, options);
  });
}
