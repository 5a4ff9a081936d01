/** The options that say how an env is stopped. */
import type { Command } from 'commander';
import { parseDuration } from './durations.ts';

/** The options as they are given. */
export interface StopWords {
  readonly time?: number;
  readonly fast?: boolean;
}

/** How long an env may take to end by itself, as with docker stop and podman stop. */
const STOP_MS = 10_000;

/** Adds -t and --fast to a command. */
export const stopOptions = (command: Command): Command =>
  command
    .option('-t, --time <time>', 'how long its programs may take to end (10s)', parseDuration)
    .option('--fast', 'kill them at once');

/** Returns how long the first process may take, in milliseconds. */
export const stopTimeout = ({ time = STOP_MS, fast = false }: StopWords): number =>
  fast ? 0 : time;
