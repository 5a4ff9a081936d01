import type { Command } from 'commander';
import type { Store, TemplateRow, VersionRow } from '../../store/store.ts';
import { showTemplate } from '../../template/remove.ts';
import { contextOf, define } from '../command.ts';
import { withStore } from '../session.ts';
import { formatSize } from '../size.ts';
import { type Column, printFields, printJson, printTable } from '../table.ts';

/** A template with its versions, oldest first; the names are those of --json. */
interface TemplateDetails extends TemplateRow {
  /** Names of the envs that have it in their stack. */
  readonly envs: readonly string[];
  readonly versions: readonly (Omit<VersionRow, 'dateMs'> & { readonly date: string })[];
}

type Version = TemplateDetails['versions'][number];

const COLUMNS: readonly Column<Version>[] = [
  { field: 'version', standard: true, right: true, text: (row) => String(row.number) },
  { field: 'label', standard: true, text: (row) => row.label },
  { field: 'date', standard: true, text: (row) => row.date },
  { field: 'files', standard: true, right: true, text: (row) => String(row.files) },
  { field: 'size', standard: true, right: true, text: (row) => formatSize(row.bytes) },
  { field: 'new', standard: true, right: true, text: (row) => formatSize(row.addedBytes) },
  { field: 'staged', standard: true, text: (row) => (row.staged ? 'yes' : 'no') },
  { field: 'note', standard: true, text: (row) => row.note },
];

export default function build(): Command {
  return define('template show <template>', 'Show a template and its versions.').action(
    async (name: string, options: object) => {
      const context = contextOf(options);
      const details = await withStore(context, 'read', (store) => detailsOf(store, name));
      if (context.json) {
        printJson(details);
        return;
      }
      printFields([
        ['name', details.name],
        ['id', String(details.id)],
        ['kind', details.kind],
        ['current', String(details.current)],
        ['shared', details.sharedPatterns.join(', ')],
        ['envs', details.envs.join(', ')],
      ]);
      process.stdout.write('\n');
      printTable(details.versions, COLUMNS, {});
    },
  );
}

function detailsOf(store: Store, name: string): TemplateDetails {
  const { template, versions, uses } = showTemplate(store, name);
  return {
    ...template,
    envs: uses.map(({ env }) => env),
    versions: versions.map(({ dateMs, ...version }) => ({
      ...version,
      date: new Date(dateMs).toISOString(),
    })),
  };
}
