import type { Command } from 'commander';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { listVolumes, type VolumeInfo } from '../../services/env-volumes.ts';
import { contextOf, define } from '../command.ts';
import { withStore } from '../session.ts';
import { type Column, printResult, printTable, type TableOptions, tableOptions } from '../table.ts';

const COLUMNS: readonly Column<VolumeInfo>[] = [
  { field: 'path', standard: true, text: (volume) => volume.path },
  { field: 'directory', standard: true, text: (volume) => volume.directory },
];

/** Defines the command `byref volume list`. */
export default function build(): Command {
  const command = define('volume list <env>', 'List the volumes of an env.');
  tableOptions(
    command,
    COLUMNS.map(({ field }) => field),
  );
  return command.action(async (env: string, options: TableOptions) => {
    const context = contextOf(options);
    const volumes = await withStore(context, 'read', (store) =>
      listVolumes(store, needPeoplesEnv(store, env)),
    );
    if (context.json) printResult('volume list', volumes);
    else printTable(volumes, COLUMNS, options);
  });
}
