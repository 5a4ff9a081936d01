/**
 * Bounds the work of one env that is under way at a time and holds descriptors or memory meanwhile. A program may have as
 * many requests waiting as it has threads; those beyond the bound wait in order, and hold nothing.
 */
export class Turns {
  /** How much work may be under way. */
  max: number;
  #taken = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(max: number) {
    this.max = max;
  }

  /** How much work is under way, and how much waits for its turn. */
  get state(): { readonly taken: number; readonly waiting: number } {
    return { taken: this.#taken, waiting: this.#waiting.length };
  }

  /** Takes a turn. Returns null if it is now, else a promise of it. Who took one gives it back. */
  take(): Promise<void> | null {
    if (this.#taken >= this.max) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#taken++;
    return null;
  }

  /** Gives a turn back, to who has waited longest. */
  give(): void {
    const next = this.#taken > this.max ? undefined : this.#waiting.shift();
    if (next === undefined) this.#taken--;
    else next();
  }
}
