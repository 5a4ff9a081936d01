import type { Command } from 'commander';
import { ByrefError } from '../../base/error.ts';
import type { PatchRecord } from '../../codec/patch-record.ts';
import type { Store } from '../../store/store.ts';
import { contextOf, define } from '../command.ts';
import { describePatch } from '../patch-text.ts';
import { printLines } from '../print.ts';
import { withStore } from '../session.ts';
import { type Column, printJson, printTable, type TableOptions, tableOptions } from '../table.ts';

const iso = (ms: number | null): string => (ms === null ? '' : new Date(ms).toISOString());

const COLUMNS: readonly Column<PatchRecord>[] = [
  { field: 'id', standard: true, right: true, text: (row) => String(row.id) },
  { field: 'date', standard: true, text: (row) => iso(row.startedMs) },
  { field: 'kind', standard: true, text: (row) => row.kind },
  { field: 'template', standard: true, text: (row) => row.template },
  { field: 'from', standard: true, right: true, text: (row) => String(row.from) },
  { field: 'to', standard: true, right: true, text: (row) => String(row.to) },
  { field: 'state', standard: true, text: (row) => row.state },
  { field: 'envs', standard: true, right: true, text: (row) => String(row.envs.length) },
  { field: 'user', standard: true, text: (row) => row.by.user },
  { field: 'note', standard: true, text: (row) => row.note.split('\n')[0] ?? '' },
  { field: 'ended', standard: false, text: (row) => iso(row.endedMs) },
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
    const records = await withStore(context, 'read', (store) =>
      recordsOf(store, name, options.show),
    );
    if (context.json) printJson(records.map(jsonOf));
    else if (options.show !== undefined) printLines(...records.flatMap(details));
    else printTable(records, COLUMNS, options);
  });
}

/** Returns the records to print. @throws ByrefError 'notFound' for a name that nothing has or had */
function recordsOf(
  store: Store,
  name: string | undefined,
  show: string | undefined,
): PatchRecord[] {
  if (show !== undefined) {
    const record = store.patches.get(Number(show));
    if (record !== null) return [record];
    throw new ByrefError('notFound', `there is no patch ${show}`, 'See byref history.');
  }
  const all = Array.from(store.patches.heads(), (head) => store.patches.whole(head));
  if (name === undefined) return all;
  const env = store.env(name);
  const found = all.filter(
    ({ template, envs }) =>
      template === name || envs.some((each) => each.name === name || each.id === env?.id),
  );
  if (found.length === 0 && env === null && store.template(name) === null) {
    const message = `there is no template or env "${name}"`;
    throw new ByrefError('notFound', message, 'See byref template list and byref list.');
  }
  return found;
}

/** Returns a record for --json: times as ISO 8601, all else unchanged. */
function jsonOf({ startedMs, endedMs, ...record }: PatchRecord): object {
  return { ...record, started: iso(startedMs), ended: endedMs === null ? null : iso(endedMs) };
}

function details(record: PatchRecord): string[] {
  const { by, startedMs, endedMs, policies } = record;
  return [
    ...describePatch(record),
    `  by ${by.user} (uid ${by.uid}, pid ${by.pid}): ${by.command}`,
    `  from ${iso(startedMs)} to ${iso(endedMs) || '-'}`,
    ...policies.map(({ pattern, action }) => `  ${action} ${pattern}`),
    ...record.envs.map(({ name, outcome }) => `  ${name}: ${outcome}`),
  ];
}
