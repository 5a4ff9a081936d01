import type { Command } from 'commander';
import { formatSize } from '../../base/size.ts';
import { packageCount, packageCountText } from '../../manager/recipes/build/packages.ts';
import { type TemplateSizes, templateSizes } from '../../manager/templates/sizes.ts';
import { showTemplate, type TemplateUse } from '../../services/remove-template.ts';
import { isScratch } from '../../store/names.ts';
import type { Store, TemplateRow, VersionRow } from '../../store/store.ts';
import { contextOf, define } from '../command.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { type Column, printFields, printJson, printTable } from '../table.ts';

/** A template with its versions, oldest first, with the names that --json uses. */
interface TemplateDetails extends TemplateRow, TemplateSizes {
  /** Names of the envs that have it in their stack. */
  readonly envs: readonly string[];
  /** The same envs, with the version that each sees. */
  readonly users: readonly TemplateUse[];
  readonly versions: readonly Version[];
}

interface Version extends Omit<VersionRow, 'dateMs' | 'base'> {
  readonly date: string;
  /** The version of an OS template that an app was installed on, as NAME@VERSION. */
  readonly base: string | null;
  /** How many packages are installed in it. */
  readonly packages: number | null;
}

const COLUMNS: readonly Column<Version>[] = [
  { field: 'version', standard: true, right: true, text: (row) => String(row.number) },
  { field: 'label', standard: true, text: (row) => row.label },
  { field: 'date', standard: true, text: (row) => row.date },
  { field: 'packages', standard: true, right: true, text: (row) => packageCountText(row.packages) },
  { field: 'base', standard: true, text: (row) => row.base ?? '' },
  { field: 'files', standard: true, right: true, text: (row) => String(row.files) },
  { field: 'size', standard: true, right: true, text: (row) => formatSize(row.bytes) },
  { field: 'new', standard: true, right: true, text: (row) => formatSize(row.addedBytes) },
  { field: 'staged', standard: true, text: (row) => (row.staged ? 'yes' : 'no') },
  { field: 'note', standard: true, wraps: true, text: (row) => row.note },
];

/** Defines the command `byref template show`. */
export default function build(): Command {
  return define(
    'template show <template>',
    'Show a template: its versions, its users, what it takes and what of that it shares.',
  ).action(async (name: string, options: object) => {
    const context = contextOf(options);
    const details = await withStore(context, 'read', (store) => detailsOf(store, name));
    if (context.json) {
      printJson(details);
      return;
    }
    printFields(fieldsOf(details));
    printLines('');
    // Only apps have a base.
    const columns = COLUMNS.filter(({ field }) => field !== 'base' || details.kind === 'app');
    printTable(details.versions, columns, {});
  });
}

function fieldsOf(details: TemplateDetails): [string, string][] {
  const { name, current, versions } = details;
  const { packages = 0, bytes = 0 } = versions.find(({ number }) => number === current) ?? {};
  const count = packageCountText(packages);
  return [
    ['name', name],
    ['id', String(details.id)],
    ['kind', details.kind],
    ['current', String(current)],
    ['packages', count && `${count}; byref template packages ${name} lists them`],
    ['size', `${formatSize(bytes)}, the current version's files`],
    ['stored', `${formatSize(details.storedBytes)}, all versions, each content once`],
    ['shared', `${formatSize(details.sharedBytes)} of it, with other templates`],
    ['exclusive', `${formatSize(details.exclusiveBytes)}, which template rm frees`],
    ['on disk', formatSize(details.diskBytes)],
    ['shared paths', details.sharedPatterns.join(', ')],
    ['users', details.users.map(userText).join(', ')],
  ];
}

function userText({ env, pinned, canary }: TemplateUse): string {
  if (pinned !== null) return `${env} (pinned to ${pinned})`;
  return canary === null ? `${env} (follows)` : `${env} (canary of ${canary})`;
}

function detailsOf(store: Store, name: string): TemplateDetails {
  const { template, versions, uses: all } = showTemplate(store, name);
  const uses = all.filter(({ env }) => !isScratch(env));
  return {
    ...template,
    newest: versions.at(-1)?.number ?? template.current,
    ...templateSizes(store, template.id),
    envs: uses.map(({ env }) => env),
    users: uses,
    versions: versions.map(({ dateMs, base, ...version }) => ({
      ...version,
      date: new Date(dateMs).toISOString(),
      base: base && store.catalog.refName(base),
      packages: packageCount(store, template, version.number),
    })),
  };
}
