import type { Command } from 'commander';
import { formatSize } from '../../base/size.ts';
import { needPeoplesEnv } from '../../manager/sandbox/owner.ts';
import { activities, type EnvActivity, lookAt } from '../../services/env-activity.ts';
import { needRunning } from '../../services/start-env.ts';
import { contextOf, define } from '../command.ts';
import { durationOption } from '../durations.ts';
import { output } from '../output.ts';
import { printOwn } from '../print.ts';
import { withStore } from '../session.ts';
import { type Column, printResult, printTable, type TableOptions, tableOptions } from '../table.ts';

interface Options extends TableOptions {
  readonly once?: boolean;
  readonly interval: number;
}

/** Formats sizes for people on a terminal; prints bytes for programs. */
const size = (bytes: number | null): string => {
  if (bytes === null) return '';
  return output().stdout.isTTY ? formatSize(bytes) : String(bytes);
};
const waited = (stall: { readonly some10: number } | null): string =>
  stall === null ? '' : String(stall.some10);

const COLUMNS: readonly Column<EnvActivity>[] = [
  { field: 'name', standard: true, text: ({ name }) => name },
  { field: 'cpu', standard: true, right: true, text: (each) => each.cpuPercent?.toFixed(1) ?? '' },
  { field: 'memory', standard: true, right: true, text: (each) => size(each.memoryBytes) },
  { field: 'processes', standard: true, right: true, text: (each) => `${each.processes ?? ''}` },
  { field: 'read', standard: true, right: true, text: (each) => size(each.readBytesPerSecond) },
  {
    field: 'written',
    standard: true,
    right: true,
    text: (each) => size(each.writtenBytesPerSecond),
  },
  { field: 'cpu-wait', standard: false, right: true, text: (each) => waited(each.pressure.cpu) },
  { field: 'io-wait', standard: false, right: true, text: (each) => waited(each.pressure.io) },
  {
    field: 'memory-wait',
    standard: false,
    right: true,
    text: (each) => waited(each.pressure.memory),
  },
];

const INTERVAL_MS = 2000;
/** Moves the cursor to the first place of a terminal, and clears what follows. */
const CLEAR = '\x1b[H\x1b[J';

/** Defines the command `byref top`. */
export default function build(): Command {
  const command = define(
    'top [env...]',
    'Show what running envs do: percent of a processor, memory, processes, and bytes a second that disks read and write for them.',
  )
    .option('--once', 'only once; that is so without a terminal, too')
    .addOption(durationOption('--interval <time>', 'how long it measures each time', INTERVAL_MS));
  tableOptions(
    command,
    COLUMNS.map(({ field }) => field),
  );
  return command.action(async (names: string[], options: Options) => {
    const context = contextOf(options);
    const { isTTY } = output().stdout;
    const isOnce = options.once === true || context.json || !isTTY;
    const rows = await withStore(context, 'read', (store) => {
      const named = names.map((name) => needPeoplesEnv(store, name));
      for (const row of named) needRunning(store.root, row);
      return named.length === 0 ? null : named;
    });
    const look = () => withStore(context, 'read', (store) => lookAt(store, rows));
    for await (const envs of activities(look, options.interval)) {
      if (context.json) printResult('top', envs);
      else {
        if (!isOnce) printOwn(CLEAR);
        printTable(envs, COLUMNS, options);
      }
      if (isOnce) return;
    }
  });
}
