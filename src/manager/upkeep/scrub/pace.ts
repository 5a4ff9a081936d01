import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';

const SECOND_MS = 1000;

/** Bounds how many bytes are read in a second. */
export class Pace {
  private readonly bytesPerSecond: number;
  private readonly signal: AbortSignal;
  /** When what was read until now is within the bound, by performance.now(). */
  private dueMs = performance.now();

  /**
   * @param bytesPerSecond 0: no bound
   * @param signal ends what reads
   */
  constructor(bytesPerSecond: number, signal: AbortSignal) {
    this.bytesPerSecond = bytesPerSecond;
    this.signal = signal;
  }

  /** True once the signal is aborted. */
  get isOver(): boolean {
    return this.signal.aborted;
  }

  /**
   * Waits until `bytes`, which were just read, are within the bound; at least for one turn of the event loop.
   * @throws the signal's reason, once it is aborted
   */
  async read(bytes: number): Promise<void> {
    const now = performance.now();
    const { signal } = this;
    if (this.bytesPerSecond === 0) return turn(undefined, { signal });
    // Time that was not used is lost: no burst makes up for it.
    this.dueMs = Math.max(this.dueMs, now) + (bytes / this.bytesPerSecond) * SECOND_MS;
    if (this.dueMs > now) await sleep(this.dueMs - now, undefined, { signal });
    else await turn(undefined, { signal });
  }
}
