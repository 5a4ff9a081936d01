import type { Command } from 'commander';
import type { Store, TemplateRow, VersionRow } from '../../store/store.ts';
import { contextOf, define } from '../command.ts';
import { withStore } from '../session.ts';
import { formatSize } from '../size.ts';
import { type Column, printJson, printTable, type TableOptions, tableOptions } from '../table.ts';

/** One template; the names are those of --json. */
interface TemplateSummary {
  readonly id: number;
  readonly name: string;
  readonly kind: string;
  /** The version that envs which follow it see. */
  readonly current: number;
  readonly newest: number;
  readonly versions: number;
  /** Of the current version. */
  readonly files: number;
  readonly bytes: number;
  /** How many envs have it in their stack. */
  readonly envs: number;
}

const size = (bytes: number): string => (process.stdout.isTTY ? formatSize(bytes) : String(bytes));

const COLUMNS: readonly Column<TemplateSummary>[] = [
  { field: 'name', standard: true, text: (row) => row.name },
  { field: 'kind', standard: true, text: (row) => row.kind },
  { field: 'current', standard: true, right: true, text: (row) => String(row.current) },
  { field: 'newest', standard: true, right: true, text: (row) => String(row.newest) },
  { field: 'versions', standard: false, right: true, text: (row) => String(row.versions) },
  { field: 'files', standard: true, right: true, text: (row) => String(row.files) },
  { field: 'bytes', standard: true, right: true, text: (row) => size(row.bytes) },
  { field: 'envs', standard: true, right: true, text: (row) => String(row.envs) },
  { field: 'id', standard: false, right: true, text: (row) => String(row.id) },
];

export default function build(): Command {
  const command = define('template list', 'List templates.');
  tableOptions(
    command,
    COLUMNS.map(({ field }) => field),
  );
  return command.action(async (options: TableOptions) => {
    const context = contextOf(options);
    const rows = await withStore(context, 'read', summaries);
    if (context.json) printJson(rows);
    else printTable(rows, COLUMNS, options);
  });
}

function summaries(store: Store): TemplateSummary[] {
  const uses = new Map<number, number>();
  for (const { stack } of store.envs()) {
    for (const { templateId } of stack) uses.set(templateId, (uses.get(templateId) ?? 0) + 1);
  }
  return store
    .templates()
    .map((row) => summaryOf(row, store.versions(row.id), uses.get(row.id) ?? 0));
}

function summaryOf(
  { id, name, kind, current, newest }: TemplateRow,
  versions: readonly VersionRow[],
  envs: number,
): TemplateSummary {
  const { files = 0, bytes = 0 } = versions.find(({ number }) => number === current) ?? {};
  return { id, name, kind, current, newest, versions: versions.length, files, bytes, envs };
}
