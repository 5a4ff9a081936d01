/** The options that say whether a start waits until the env is ready. */
import type { Command } from 'commander';
import { ByrefError } from '../base/error.ts';
import { awaitReady } from '../services/await-ready.ts';
import type { EnvStarted } from '../services/start-env.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { parseDuration } from './durations.ts';
import { printNotes } from './notes.ts';

/** The options as they are given. */
export interface ReadyWords {
  readonly ready?: boolean;
  readonly timeout?: number;
}

/** As long as systemd gives a unit that is started (DefaultTimeoutStartSec), and a half. */
const READY_MS = 135_000;

/** Adds --ready and --timeout to a command. `--wait` says how long to wait for other commands, as everywhere. */
export const readyOptions = (command: Command): Command =>
  command
    .option('--ready', 'wait until they are up: booted, and their health command content')
    .option('--timeout <time>', 'how long --ready waits (135s)', parseDuration);

/** Refuses --timeout without --ready. @throws ByrefError 'usage' */
export function checkReady({ ready = false, timeout }: ReadyWords): void {
  if (ready || timeout === undefined) return;
  throw new ByrefError('usage', '--timeout is for --ready', 'Say --ready, too.');
}

/** Waits until a started env is ready, if that is wanted. @throws as awaitReady() */
export async function readyIfWanted(
  store: Store,
  row: EnvRow,
  started: EnvStarted,
  { ready = false, timeout }: ReadyWords,
): Promise<EnvStarted> {
  if (!ready) return started;
  const state = await awaitReady(store, row, timeout ?? READY_MS);
  const { failedUnits } = state;
  if (failedUnits.length > 0)
    printNotes([`${row.name} is up, but units failed in it: ${failedUnits.join(', ')}`]);
  return { ...started, ready: state };
}
