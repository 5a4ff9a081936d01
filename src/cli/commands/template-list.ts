import type { Command } from 'commander';
import { formatSize } from '../../base/size.ts';
import { packageCountText } from '../../manager/recipes/build/packages.ts';
import { listTemplates, type TemplateEntry, wholeEntry } from '../../services/list-templates.ts';
import { contextOf, define } from '../command.ts';
import { output } from '../output.ts';
import { withStore } from '../session.ts';
import { type Column, printResult, printTable, type TableOptions, tableOptions } from '../table.ts';

const size = (bytes: number): string => (output().stdout.isTTY ? formatSize(bytes) : String(bytes));

const COLUMNS: readonly Column<TemplateEntry>[] = [
  { field: 'name', standard: true, text: (row) => row.name },
  { field: 'kind', standard: true, text: (row) => row.kind },
  { field: 'current', standard: true, right: true, text: (row) => String(row.current) },
  { field: 'newest', standard: true, right: true, text: (row) => String(row.newest) },
  { field: 'versions', standard: true, right: true, text: (row) => String(row.versions) },
  {
    field: 'packages',
    standard: true,
    right: true,
    text: (row) => packageCountText(row.packages()),
  },
  { field: 'files', standard: true, right: true, text: (row) => String(row.files) },
  { field: 'bytes', standard: true, right: true, text: (row) => size(row.bytes) },
  { field: 'stored', standard: true, right: true, text: (row) => size(row.sizes().storedBytes) },
  { field: 'shared', standard: true, right: true, text: (row) => size(row.sizes().sharedBytes) },
  { field: 'envs', standard: true, right: true, text: (row) => String(row.envs) },
  {
    field: 'exclusive',
    standard: false,
    right: true,
    text: (row) => size(row.sizes().exclusiveBytes),
  },
  { field: 'disk', standard: false, right: true, text: (row) => size(row.sizes().diskBytes) },
  { field: 'id', standard: false, right: true, text: (row) => String(row.id) },
];

const HELP = `
  packages, files, bytes: of the current version
  stored: of all its versions, content that occurs twice counted once
  shared: the part of it that other templates have too; template rm frees stored less shared (exclusive)
`;

/** Defines the command `byref template list`. */
export default function build(): Command {
  const command = define('template list', 'List templates.').addHelpText('after', HELP);
  tableOptions(
    command,
    COLUMNS.map(({ field }) => field),
  );
  return command.action(async (options: TableOptions) => {
    const context = contextOf(options);
    await withStore(context, 'read', (store) => {
      const rows = listTemplates(store);
      if (context.json) printResult('template list', rows.map(wholeEntry));
      else printTable(rows, COLUMNS, options);
    });
  });
}
