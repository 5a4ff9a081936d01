import type { EntryBudget, EntryKeeper } from './entry-budget.ts';

/** Counts what one filesystem keeps in memory for the kernel (inodes and open files) against the driver's budget. */
export class Entries implements EntryKeeper {
  private readonly budget: EntryBudget;
  private readonly forget: (max: number) => Promise<number>;
  private count = 0;
  private ended = false;

  /** @param letGo see EntryKeeper */
  constructor(budget: EntryBudget, letGo: (max: number) => Promise<number>) {
    this.budget = budget;
    this.forget = letGo;
    budget.join(this);
  }

  get size(): number {
    return this.count;
  }

  /** False if there is no memory for another entry. */
  get hasRoom(): boolean {
    return this.budget.admits(this.count);
  }

  /** True if memory is short enough that the order of lookups matters. */
  get isScarce(): boolean {
    return this.budget.isScarce;
  }

  take(): void {
    // An entry taken after the end is dropped with the filesystem.
    if (this.ended) return;
    this.count++;
    this.budget.take();
  }

  give(): void {
    if (this.ended) return;
    this.count--;
    this.budget.give();
  }

  letGo(max: number): Promise<number> {
    return this.forget(max);
  }

  /** Gives everything back, at the end of the filesystem. */
  end(): void {
    this.budget.leave(this);
    this.count = 0;
    this.ended = true;
  }
}
