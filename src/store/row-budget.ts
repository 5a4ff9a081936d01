/**
 * Bounds how many decoded rows a process keeps, over all templates and envs. Directories are evicted whole, by
 * the clock algorithm: one that was used since the hand last passed stays for another round.
 */
export interface CachedRows {
  /** Set by every use, cleared by the clock's hand. */
  used: boolean;
  /** How many rows it counts for now. */
  readonly rows: number;
  /** Forgets its rows. */
  evict(): void;
}

/** The rows that a process keeps, counted against one limit. */
export class RowBudget {
  private readonly limit: number;
  private ring: CachedRows[] = [];
  private hand = 0;
  private total = 0;

  /** @param limit rows, present and absent names together */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** Counts `rows` more rows of `owner`; `first` when it had none before. May evict any other owner. */
  charge(owner: CachedRows, rows: number, first: boolean): void {
    if (first) this.ring.push(owner);
    this.total += rows;
    while (this.total > this.limit && this.ring.length > 1) this.turn(owner);
  }

  private turn(keep: CachedRows): void {
    if (this.hand >= this.ring.length) this.hand = 0;
    const candidate = this.ring[this.hand]!;
    if (candidate.used || candidate === keep) {
      candidate.used = false;
      this.hand++;
      return;
    }
    // The last one takes its place: order only matters for who gets another round.
    const last = this.ring.pop()!;
    if (this.hand < this.ring.length) this.ring[this.hand] = last;
    this.total -= candidate.rows;
    candidate.evict();
  }
}
