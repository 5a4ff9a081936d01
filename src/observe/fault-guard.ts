import type { Log } from './log.ts';

/** How many errors reached the edge of the process since it started: each is a bug. */
export interface FaultCount {
  value: number;
}

/**
 * A process that serves mounts must not end because one operation failed: what nobody caught is
 * logged and counted, and the others go on.
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
