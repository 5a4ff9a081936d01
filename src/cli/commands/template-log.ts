import type { Command } from 'commander';
import { formatSize } from '../../base/size.ts';
import { type VersionLog, versionLog } from '../../manager/rollout/log.ts';
import { needTemplate } from '../../manager/rollout/target.ts';
import { contextOf, define } from '../command.ts';
import { output } from '../output.ts';
import { withStore } from '../session.ts';
import { type Column, printResult, printTable, type TableOptions, tableOptions } from '../table.ts';

const size = (bytes: number): string => (output().stdout.isTTY ? formatSize(bytes) : String(bytes));

const COLUMNS: readonly Column<VersionLog>[] = [
  { field: 'version', standard: true, right: true, text: (row) => String(row.number) },
  { field: 'date', standard: true, text: (row) => row.date },
  { field: 'label', standard: true, text: (row) => row.label },
  { field: 'state', standard: true, text: (row) => row.state },
  { field: 'changed', standard: true, right: true, text: (row) => String(row.changed) },
  { field: 'new', standard: true, right: true, text: (row) => size(row.addedBytes) },
  { field: 'following', standard: true, right: true, text: (row) => String(row.following) },
  { field: 'pinned', standard: true, text: (row) => row.pinned.join(',') },
  { field: 'canaries', standard: true, text: (row) => row.canaries.join(',') },
  { field: 'note', standard: true, wraps: true, text: (row) => row.note },
];

/** Defines the command `byref template log`. */
export default function build(): Command {
  const command = define(
    'template log <template>',
    'List the versions of a template, newest first: what each changed, and who sees it.',
  );
  tableOptions(
    command,
    COLUMNS.map(({ field }) => field),
  );
  return command.action(async (name: string, options: TableOptions) => {
    const context = contextOf(options);
    const log = await withStore(context, 'read', (store) =>
      versionLog(store, needTemplate(store, name)),
    );
    if (context.json) printResult('template log', log);
    else printTable(log, COLUMNS, options);
  });
}
