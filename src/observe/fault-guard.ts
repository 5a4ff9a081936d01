import type { Log } from './log.ts';

/** How many errors reached the edge of the process since it started; each is a bug. */
export interface FaultCount {
  value: number;
}

/**
 * Logs and counts errors that were not caught, so that a process which serves mounts goes on: it must not end
 * because one operation failed.
 */
export function guardFaults(log: Log): FaultCount {
  const faults: FaultCount = { value: 0 };
  const record = (error: unknown, kind: string): void => {
    faults.value++;
    log.error({ err: error, faults: faults.value }, kind);
  };
  process.on('uncaughtException', (error) => record(error, 'uncaught exception'));
  process.on('unhandledRejection', (reason) => record(reason, 'unhandled rejection'));
  return faults;
}
