import type { Command } from 'commander';
import { type StaleFile, staleFiles } from '../../patch/stale.ts';
import { needPeoplesEnv, peoplesEnvs } from '../../scratch/owner.ts';
import { contextOf, define } from '../command.ts';
import { withStore } from '../session.ts';
import { type Column, printJson, printTable, type TableOptions, tableOptions } from '../table.ts';

const COLUMNS: readonly Column<StaleFile>[] = [
  { field: 'env', standard: true, text: (row) => row.env },
  { field: 'pid', standard: true, right: true, text: (row) => String(row.pid) },
  { field: 'program', standard: true, text: (row) => row.program },
  { field: 'use', standard: true, text: (row) => row.use },
  { field: 'path', standard: true, text: (row) => row.path },
  { field: 'template', standard: true, text: (row) => `${row.template}@${row.version}` },
  { field: 'current', standard: true, right: true, text: (row) => String(row.current ?? '-') },
  { field: 'restart', standard: true, text: (row) => row.restart },
  { field: 'object', standard: false, text: (row) => row.object },
];

export default function build(): Command {
  const command = define(
    'stale [env...]',
    'List processes that still use files of a version that their env does not see any more, and what to restart.',
  );
  tableOptions(
    command,
    COLUMNS.map(({ field }) => field),
  );
  return command.action(async (names: string[], options: TableOptions) => {
    const context = contextOf(options);
    const files = await withStore(context, 'read', (store) => {
      const rows =
        names.length === 0 ? peoplesEnvs(store) : names.map((name) => needPeoplesEnv(store, name));
      return staleFiles(store, rows);
    });
    if (context.json) printJson(files);
    else printTable(files, COLUMNS, options);
  });
}
