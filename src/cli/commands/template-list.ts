import type { Command } from 'commander';
import { formatSize } from '../../base/size.ts';
import { packageCount, packageCountText } from '../../manager/recipes/build/packages.ts';
import { peoplesEnvs } from '../../manager/sandbox/owner.ts';
import { type TemplateSizes, templateSizes } from '../../manager/templates/sizes.ts';
import type { Store, TemplateRow } from '../../store/store.ts';
import { contextOf, define } from '../command.ts';
import { withStore } from '../session.ts';
import { type Column, printJson, printTable, type TableOptions, tableOptions } from '../table.ts';

/** The properties of a template that are known without reading rows of files, named as in --json. */
interface TemplateSummary {
  readonly id: number;
  readonly name: string;
  readonly kind: string;
  /** The version that envs see which follow it. */
  readonly current: number;
  readonly newest: number;
  readonly versions: number;
  /** Files and bytes of the current version. */
  readonly files: number;
  readonly bytes: number;
  /** How many envs have it in their stack. */
  readonly envs: number;
}

/** Properties that cost more the more files or packages a template has: read only if a column shows them. */
interface TemplateContents {
  /** How many packages are installed in the current version. */
  readonly packages: () => number | null;
  readonly sizes: () => TemplateSizes;
}

type Row = TemplateSummary & TemplateContents;

const size = (bytes: number): string => (process.stdout.isTTY ? formatSize(bytes) : String(bytes));

const COLUMNS: readonly Column<Row>[] = [
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
      const rows = rowsOf(store);
      if (context.json) printJson(rows.map(jsonOf));
      else printTable(rows, COLUMNS, options);
    });
  });
}

function jsonOf({ packages, sizes, ...summary }: Row): object {
  return { ...summary, packages: packages(), ...sizes() };
}

function rowsOf(store: Store): Row[] {
  const uses = new Map<number, number>();
  for (const { stack } of peoplesEnvs(store)) {
    for (const { templateId } of stack) uses.set(templateId, (uses.get(templateId) ?? 0) + 1);
  }
  return store.templates().map((row) => ({
    ...summaryOf(store, row, uses.get(row.id) ?? 0),
    packages: () => packageCount(store, row, row.current),
    sizes: once(() => templateSizes(store, row.id)),
  }));
}

function summaryOf(
  store: Store,
  { id, name, kind, current }: TemplateRow,
  envs: number,
): TemplateSummary {
  const versions = store.versions(id);
  const newest = versions.at(-1)?.number ?? current;
  const { files = 0, bytes = 0 } = versions.find(({ number }) => number === current) ?? {};
  return { id, name, kind, current, newest, versions: versions.length, files, bytes, envs };
}

function once<T>(read: () => T): () => T {
  let known: { readonly value: T } | null = null;
  return () => {
    known ??= { value: read() };
    return known.value;
  };
}
