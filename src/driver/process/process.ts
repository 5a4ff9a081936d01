import { writeFileSync } from 'node:fs';
import { lockOwner, takeProcessLock } from '../../ipc/process-lock.ts';
import type { ProcessFiles } from '../../ipc/run-dir.ts';
import type { Log } from '../../observe/log.ts';

/** Exit code of a process that found another of its kind running: not an error for who asked. */
export const ALREADY_RUNNING = 0;

/** Ends this process, quietly, if another serves the same purpose: two were started at once. */
export function beTheOnlyOne(files: ProcessFiles, log: Log): void {
  if (takeProcessLock(files.lock) !== null) return;
  log.info({ other: lockOwner(files.lock) }, 'another one runs already: nothing to do');
  process.exit(ALREADY_RUNNING);
}

/** A process that could not start says why, and ends: whoever started it is waiting. */
export async function startOrExit(start: () => Promise<void>): Promise<void> {
  try {
    await start();
  } catch (error) {
    process.stderr.write(
      `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    process.exit(1);
  }
}

/** Ending this process to free memory would cost many programs more: others go first. */
export function resistOomKiller(log: Log): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '-900');
  } catch (error) {
    log.warn({ err: error }, 'oom_score_adj can not be lowered');
  }
}

/**
 * SIGTERM and SIGINT ask to end, and are heard only by a process that serves nothing: ending a driver
 * under its mounts would make every program in them fail. SIGKILL remains, and is survived.
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
