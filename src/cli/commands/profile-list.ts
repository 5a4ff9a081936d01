import type { Command } from 'commander';
import { listProfiles, type Profile } from '../../services/profiles.ts';
import { contextOf, define } from '../command.ts';
import { type Column, printResult, printTable, type TableOptions, tableOptions } from '../table.ts';

const COLUMNS: readonly Column<Profile>[] = [
  { field: 'name', standard: true, text: ({ name }) => name },
  {
    field: 'settings',
    standard: true,
    text: ({ settings }) =>
      Object.entries(settings)
        .map(([key, value]) => `${key}=${value}`)
        .join(' '),
  },
  { field: 'description', standard: true, text: ({ description }) => description },
  { field: 'file', standard: false, text: ({ file }) => file },
];

/** Defines the command `byref profile list`. */
export default function build(): Command {
  const command = define('profile list', 'List profiles: settings under a name, for --config.');
  tableOptions(
    command,
    COLUMNS.map(({ field }) => field),
  );
  return command.action((options: TableOptions) => {
    const profiles = listProfiles();
    if (contextOf(options).json) printResult('profile list', profiles);
    else printTable(profiles, COLUMNS, options);
  });
}
