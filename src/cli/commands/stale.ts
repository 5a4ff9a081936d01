import type { Command } from 'commander';
import { type StaleFile, staleFiles } from '../../manager/rollout/stale.ts';
import {
  type StalePackage,
  type StaleReason,
  stalePackages,
} from '../../manager/rollout/stale-packages.ts';
import { needPeoplesEnv, peoplesEnvs } from '../../manager/sandbox/owner.ts';
import type { EnvRow, Store } from '../../store/store.ts';
import { contextOf, define } from '../command.ts';
import { withStore } from '../session.ts';
import { type Column, printResult, printTable, type TableOptions, tableOptions } from '../table.ts';

const COLUMNS: readonly Column<StaleFile>[] = [
  { field: 'env', standard: true, text: (row) => row.env },
  { field: 'pid', standard: true, right: true, text: (row) => String(row.pid) },
  { field: 'program', standard: true, text: (row) => row.program },
  { field: 'use', standard: true, text: (row) => row.use },
  { field: 'path', standard: true, text: (row) => row.path },
  { field: 'template', standard: true, text: (row) => `${row.template}@${row.version}` },
  { field: 'current', standard: true, right: true, text: (row) => String(row.current ?? '-') },
  { field: 'restart', standard: true, text: (row) => row.restart },
  { field: 'object', standard: false, text: (row) => row.object },
];

const WHY: Readonly<Record<StaleReason, string>> = {
  version: 'a version of its own',
  removed: 'removed by the env',
  held: 'held by the env',
  unfinished: 'its installation broke off',
  needed: 'kept by an earlier patch: the next one looks at it again',
  behind: 'the env does not see the current version',
  files: 'the env has changed its files',
};

const PACKAGE_COLUMNS: readonly Column<StalePackage>[] = [
  { field: 'env', standard: true, text: (row) => row.env },
  { field: 'package', standard: true, text: (row) => row.package },
  { field: 'own', standard: true, text: (row) => row.own ?? '-' },
  { field: 'template', standard: true, text: (row) => row.template ?? '-' },
  { field: 'why', standard: true, text: (row) => WHY[row.why] },
];

interface Options extends TableOptions {
  readonly packages?: boolean;
}

/** Defines the command `byref stale`. */
export default function build(): Command {
  const command = define(
    'stale [env...]',
    'List processes that still use files of a version that their env does not see any more, and what to restart.',
  ).option(
    '--packages',
    'list packages instead that envs have otherwise than the current versions of their templates',
  );
  const fields = [...COLUMNS, ...PACKAGE_COLUMNS].map(({ field }) => field);
  tableOptions(command, [...new Set(fields)]);
  return command.action(async (names: string[], options: Options) => {
    const context = contextOf(options);
    if (options.packages === true) {
      const packages = await withStore(context, 'read', (store) =>
        stalePackages(store, rowsOf(store, names)),
      );
      if (context.json) printResult('stale', packages);
      else printTable(packages, PACKAGE_COLUMNS, options);
      return;
    }
    const files = await withStore(context, 'read', (store) => {
      return staleFiles(store, rowsOf(store, names));
    });
    if (context.json) printResult('stale', files);
    else printTable(files, COLUMNS, options);
  });
}

const rowsOf = (store: Store, names: readonly string[]): EnvRow[] =>
  names.length === 0 ? peoplesEnvs(store) : names.map((name) => needPeoplesEnv(store, name));
