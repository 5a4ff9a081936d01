import { writeFileSync } from 'node:fs';
import { ByrefError } from '../../base/error.ts';
import type { ProcessFiles } from '../../ipc/run-dir.ts';
import { signer, tryLock } from '../../native/lock-file.ts';
import type { Log } from '../../observe/log.ts';

/** Exit code of a process that found another of its kind running: not an error for whoever started it. */
export const ALREADY_RUNNING = 0;

/** Ends this process quietly if another one serves the same purpose, because two were started at once. */
export function beTheOnlyOne(files: ProcessFiles, log: Log): void {
  // Held until the process ends.
  if (tryLock(files.lock) !== null) return;
  log.info({ other: signer(files.lock) }, 'another one runs already: nothing to do');
  process.exit(ALREADY_RUNNING);
}

/** Runs `start`; on an error prints the reason and exits, because whoever started this process is waiting. */
export async function startOrExit(start: () => Promise<void>): Promise<void> {
  try {
    await start();
  } catch (error) {
    process.stderr.write(`${reasonOf(error)}\n`);
    process.exit(1);
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof ByrefError) return `${error.message}. ${error.hint}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Makes the OOM killer choose other processes first: ending this one would cost many more programs. */
export function resistOomKiller(log: Log): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '-900');
  } catch (error) {
    log.warn({ err: error }, 'oom_score_adj can not be lowered');
  }
}

/**
 * Handles SIGTERM and SIGINT, which ask to end: only a process that serves nothing obeys them. If a driver ended
 * under its mounts, every program in them would fail. SIGKILL still ends it, and is survived.
 * @param serves returns the number of mounts that are served
 */
export function endOnSignal(log: Log, serves: () => number, end: () => void): void {
  const onSignal = (signal: NodeJS.Signals): void => {
    const mounts = serves();
    if (mounts === 0) end();
    else log.warn({ signal, mounts }, 'signal ignored while mounts are served; use byref umount');
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('SIGHUP', () => log.info({}, 'SIGHUP ignored'));
}
