/** Keeps descriptors within what a process may have open: those of idle owners are closed, and opened again when they are needed. */

/** Something that keeps descriptors open only to be faster. */
export interface Keeper {
  /** When it was last used: set by touch(). */
  used: number;
  /** Closes those that are not in use at this moment, and calls closed() for them. */
  rest(): void;
}

/** The descriptors that are kept by all the envs of a process. */
export class KeptDescriptors {
  /** How many may be kept; more are closed at once, the longest unused first. */
  max = Number.POSITIVE_INFINITY;
  #clock = 0;
  #count = 0;
  readonly #keepers = new Map<Keeper, number>();

  /** How many are kept. */
  get count(): number {
    return this.#count;
  }

  /** Notes that the keeper is used now. */
  touch(keeper: Keeper): void {
    keeper.used = ++this.#clock;
  }

  /** Notes that the keeper has opened descriptors, and makes others close some if those are too many. */
  opened(keeper: Keeper, count: number): void {
    this.touch(keeper);
    this.#keepers.set(keeper, (this.#keepers.get(keeper) ?? 0) + count);
    this.#count += count;
    while (this.#count > this.max) if (!this.giveBack(keeper)) return;
  }

  /** Notes that the keeper has closed descriptors. */
  closed(keeper: Keeper, count: number): void {
    const left = (this.#keepers.get(keeper) ?? 0) - count;
    if (left > 0) this.#keepers.set(keeper, left);
    else this.#keepers.delete(keeper);
    this.#count -= count;
  }

  /** Keeps room for so many that somebody else is about to open, until the returned function is called. */
  reserve(count: number): () => void {
    const user: Keeper = { used: 0, rest: () => undefined };
    this.opened(user, count);
    return () => this.closed(user, count);
  }

  /**
   * Closes what the longest unused keeper has open. Returns false if none could close any.
   * @param except one that is at work
   */
  giveBack(except: Keeper | null = null): boolean {
    const before = this.#count;
    const left = new Set(this.#keepers.keys());
    if (except !== null) left.delete(except);
    while (left.size > 0) {
      const oldest = [...left].reduce((a, b) => (b.used < a.used ? b : a));
      left.delete(oldest);
      oldest.rest();
      if (this.#count < before) return true;
    }
    return false;
  }
}

/** Those of this process. */
export const keptDescriptors = new KeptDescriptors();
