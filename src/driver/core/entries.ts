import type { EntryBudget, EntryKeeper, Kind } from './entry-budget.ts';

/** Counts what one filesystem keeps in memory for the kernel (inodes and open files) against the driver's budget. */
export class Entries implements EntryKeeper {
  private readonly budget: EntryBudget;
  private readonly forget: (max: number) => Promise<number>;
  private readonly count: Record<Kind, number> = { all: 0, own: 0 };
  private ended = false;

  /** @param letGo see EntryKeeper */
  constructor(budget: EntryBudget, letGo: (max: number) => Promise<number>) {
    this.budget = budget;
    this.forget = letGo;
    budget.join(this);
  }

  size(kind: Kind): number {
    return this.count[kind];
  }

  /** False if there is no memory for another entry. */
  get hasRoom(): boolean {
    return this.budget.admits(this.count.all);
  }

  /** True if memory is short enough that the order of lookups matters. */
  get isScarce(): boolean {
    return this.budget.isScarce;
  }

  /** @param isOwn true for the inode of a file of the env's own */
  take(isOwn = false): void {
    // An entry taken after the end is dropped with the filesystem.
    if (this.ended) return;
    this.count.all++;
    if (isOwn) this.count.own++;
    this.budget.take(isOwn);
  }

  give(isOwn = false): void {
    if (this.ended) return;
    this.count.all--;
    if (isOwn) this.count.own--;
    this.budget.give(isOwn);
  }

  letGo(max: number): Promise<number> {
    return this.forget(max);
  }

  /** Gives everything back, at the end of the filesystem. */
  end(): void {
    this.budget.leave(this);
    this.count.all = 0;
    this.count.own = 0;
    this.ended = true;
  }
}
