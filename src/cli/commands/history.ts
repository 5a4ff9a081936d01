import type { Command } from 'commander';
import { type HistoryEntry, history, historyOf } from '../../services/history.ts';
import { contextOf, define } from '../command.ts';
import { describePatch } from '../patch-text.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { type Column, printResult, printTable, type TableOptions, tableOptions } from '../table.ts';

const COLUMNS: readonly Column<HistoryEntry>[] = [
  { field: 'id', standard: true, right: true, text: (row) => String(row.id) },
  { field: 'date', standard: true, text: (row) => row.started },
  { field: 'kind', standard: true, text: (row) => row.kind },
  { field: 'template', standard: true, text: (row) => row.template },
  { field: 'from', standard: true, right: true, text: (row) => String(row.from) },
  { field: 'to', standard: true, right: true, text: (row) => String(row.to) },
  { field: 'state', standard: true, text: (row) => row.state },
  { field: 'envs', standard: true, right: true, text: (row) => String(row.envs.length) },
  { field: 'user', standard: true, text: (row) => row.by.user },
  { field: 'note', standard: true, text: (row) => row.note.split('\n')[0] ?? '' },
  { field: 'ended', standard: false, text: (row) => row.ended ?? '' },
  { field: 'command', standard: false, text: (row) => row.by.command },
];

interface Options extends TableOptions {
  readonly show?: string;
}

/** Defines the command `byref history`. */
export default function build(): Command {
  const command = define(
    'history [name]',
    'List patches, rollbacks and pins, newest first: all, or those of a template or an env.',
  ).option('--show <id>', 'one of them, with what came of it in each env');
  tableOptions(
    command,
    COLUMNS.map(({ field }) => field),
  );
  return command.action(async (name: string | undefined, options: Options) => {
    const context = contextOf(options);
    const { show } = options;
    const records = await withStore(context, 'read', (store) =>
      show === undefined ? history(store, name ?? null) : [historyOf(store, show)],
    );
    if (context.json) printResult('history', records);
    else if (show !== undefined) printLines(...records.flatMap(details));
    else printTable(records, COLUMNS, options);
  });
}

function details(record: HistoryEntry): string[] {
  const { by, started, ended, policies } = record;
  return [
    ...describePatch(record),
    `  by ${by.user} (uid ${by.uid}, pid ${by.pid}): ${by.command}`,
    `  from ${started} to ${ended ?? '-'}`,
    ...policies.map(({ pattern, action }) => `  ${action} ${pattern}`),
    ...record.envs.map(({ name, outcome }) => `  ${name}: ${outcome}`),
  ];
}
