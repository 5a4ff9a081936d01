import type { Command } from 'commander';
import { formatSize } from '../../base/size.ts';
import { packageCountText } from '../../manager/recipes/build/packages.ts';
import {
  type TemplateDetails,
  type TemplateUse,
  templateDetails,
  type VersionDetails,
} from '../../services/show-template.ts';
import { contextOf, define } from '../command.ts';
import { needsText } from '../needs-text.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { type Column, printFields, printResult, printTable } from '../table.ts';

/** Of an identity's 64 digits, as many as tell versions apart; --json has all. */
const IDENTITY_DIGITS = 12;

const COLUMNS: readonly Column<VersionDetails>[] = [
  { field: 'version', standard: true, right: true, text: (row) => String(row.number) },
  { field: 'label', standard: true, text: (row) => row.label },
  { field: 'date', standard: true, text: (row) => row.date },
  { field: 'packages', standard: true, right: true, text: (row) => packageCountText(row.packages) },
  { field: 'base', standard: true, text: (row) => row.base ?? '' },
  { field: 'files', standard: true, right: true, text: (row) => String(row.files) },
  { field: 'size', standard: true, right: true, text: (row) => formatSize(row.bytes) },
  { field: 'new', standard: true, right: true, text: (row) => formatSize(row.addedBytes) },
  {
    field: 'identity',
    standard: true,
    text: (row) => row.identity?.slice(0, IDENTITY_DIGITS) ?? '',
  },
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
    const details = await withStore(context, 'read', (store) => templateDetails(store, name));
    if (context.json) {
      printResult('template show', details);
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
    ['envs need', needsText(details.needs)],
    ['users', details.users.map(userText).join(', ')],
  ];
}

function userText({ env, pinned, canary }: TemplateUse): string {
  if (pinned !== null) return `${env} (pinned to ${pinned})`;
  return canary === null ? `${env} (follows)` : `${env} (canary of ${canary})`;
}
