/**
 * Bounds the work of one env that is under way at a time and holds descriptors or memory meanwhile. A program may have as
 * many requests waiting as it has threads; those beyond the bound wait in order, and hold nothing.
 */
export class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** @param max how much work may be under way */
  constructor(max: number) {
    this.#free = max;
  }

  /** Takes a turn. Returns null if it is now, else a promise of it. Who took one gives it back. */
  take(): Promise<void> | null {
    if (this.#free === 0) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#free--;
    return null;
  }

  /** Gives a turn back, to who has waited longest. */
  give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}
