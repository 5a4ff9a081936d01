import { constants } from 'node:os';

const SIGNAL_BASE = 128;

/** Returns how a child process ended as shells say it: its exit status, or 128 and the number of the signal that ended it. */
export const shellStatus = (code: number | null, signal: NodeJS.Signals | null): number =>
  code ?? SIGNAL_BASE + (signal === null ? 0 : constants.signals[signal]);
