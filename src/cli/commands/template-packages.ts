import type { Command } from 'commander';
import { ownPackages, type Package } from '../../manager/recipes/build/packages.ts';
import { contextOf, define } from '../command.ts';
import { withStore } from '../session.ts';
import { type Column, printResult, printTable, type TableOptions, tableOptions } from '../table.ts';

const COLUMNS: readonly Column<Package>[] = [
  { field: 'package', standard: true, text: (row) => row.name },
  { field: 'version', standard: true, text: (row) => row.version },
  { field: 'architecture', standard: true, text: (row) => row.architecture },
];

/** Defines the command `byref template packages`. */
export default function build(): Command {
  const command = define(
    'template packages <template>',
    'List the packages that are installed in NAME or NAME@VERSION, as dpkg there says; of an app, those that its base has not.',
  );
  tableOptions(
    command,
    COLUMNS.map(({ field }) => field),
  );
  return command.action(async (ref: string, options: TableOptions) => {
    const context = contextOf(options);
    const packages = await withStore(context, 'read', (store) => {
      const { template, version } = store.catalog.resolve(ref);
      return [...ownPackages(store, template, version.number).values()];
    });
    if (context.json) printResult('template packages', packages);
    else printTable(packages, COLUMNS, options);
  });
}
