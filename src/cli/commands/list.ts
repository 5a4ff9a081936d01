import type { Command } from 'commander';
import type { EnvSummary } from '../../manager/envs/summary.ts';
import { listEnvs } from '../../services/list-envs.ts';
import { contextOf, define } from '../command.ts';
import { printNotes } from '../notes.ts';
import { withStore } from '../session.ts';
import { type Column, printResult, printTable, type TableOptions, tableOptions } from '../table.ts';

const COLUMNS: readonly Column<EnvSummary>[] = [
  { field: 'name', standard: true, text: (env) => env.name },
  { field: 'state', standard: true, text: stateText },
  { field: 'os', standard: true, text: (env) => env.os },
  { field: 'apps', standard: true, text: (env) => env.apps.join(',') },
  { field: 'shard', standard: false, right: true, text: (env) => String(env.shard) },
  { field: 'address', standard: true, text: (env) => env.address ?? '' },
  { field: 'pid', standard: false, right: true, text: (env) => String(env.pid ?? '') },
  { field: 'mountpoint', standard: true, text: (env) => env.mountpoint ?? '' },
  { field: 'options', standard: false, text: (env) => env.options ?? '' },
  {
    field: 'snapshots',
    standard: false,
    right: true,
    text: (env) => String(env.snapshots.length || ''),
  },
  { field: 'created', standard: true, text: (env) => env.created },
  { field: 'id', standard: false, right: true, text: (env) => String(env.id) },
];

/** Writes the state; that an env is privileged is what one has to see. */
function stateText({ state, privileged }: EnvSummary): string {
  return privileged ? `${state} (privileged)` : state;
}

/** Defines the command `byref list`. */
export default function build(): Command {
  const command = define('list', 'List envs.');
  tableOptions(
    command,
    COLUMNS.map(({ field }) => field),
  );
  return command.action(async (options: TableOptions) => {
    const context = contextOf(options);
    const envs = await withStore(context, 'read', listEnvs);
    if (context.json) printResult('list', envs);
    else printTable(envs, COLUMNS, options);
    for (const { name, state } of envs)
      if (state === 'dead')
        printNotes([`${name} is mounted, but its driver is gone. See: byref info ${name}`]);
  });
}
