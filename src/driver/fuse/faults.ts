import { EIO } from '../../base/errno.ts';

/** How faults are told to people: a sentence, and what was thrown. */
export type FaultLog = (message: string, error: unknown) => void;

/** Distinct messages remembered; what comes after that is counted only. */
const DISTINCT_MAX = 1000;

/**
 * The one edge where an exception of the core becomes an answer: EIO for that one operation, a log
 * line for the first of its kind, and a count.
 */
export class Faults {
  count = 0;
  private readonly seen = new Set<string>();
  private readonly log: FaultLog;

  constructor(log: FaultLog) {
    this.log = log;
  }

  /** Always -EIO. */
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
