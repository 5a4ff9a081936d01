import { EIO } from '../../base/errno.ts';

/** Reports a fault to people: a sentence, and the error that was thrown. */
export type FaultLog = (message: string, error: unknown) => void;

/** The most distinct messages that are logged; further ones are only counted. */
const DISTINCT_MAX = 1000;

/**
 * Turns exceptions of the core into answers, at this one place: EIO for the operation, a log line for the first
 * fault of its kind, and a count.
 */
export class Faults {
  count = 0;
  private readonly seen = new Set<string>();
  private readonly log: FaultLog;

  constructor(log: FaultLog) {
    this.log = log;
  }

  /** Counts and logs the fault. Always returns -EIO. */
  take(error: unknown, operation: string): number {
    this.count++;
    const message = `${operation}: ${error instanceof Error ? error.message : String(error)}`;
    if (!this.seen.has(message) && this.seen.size < DISTINCT_MAX) {
      this.seen.add(message);
      this.log(message, error);
    }
    return -EIO;
  }
}
