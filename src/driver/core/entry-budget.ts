/** One filesystem that keeps entries, as the budget sees it. */
export interface EntryKeeper {
  /** Entries that it keeps now. */
  readonly size: number;
  /**
   * Asks the kernel to forget inodes that are not in use, least recently looked up first. Resolves when what the kernel
   * forgot is not kept any more, to how many inodes were looked at for it.
   * @param max asks about at most this many
   */
  letGo(max: number): Promise<number>;
}

/** Part of all entries above which the kernel is asked to forget, and down to which it is. */
const SOFT = 0.5;
const LOW = 0.45;
/** Part above which only a filesystem with less than its fair share gets another entry. */
const HIGH = 0.75;
/** After the kernel kept what it was asked about, it is asked again when this part of all entries came. */
const AGAIN = 1 / 32;
/** Inodes asked about at a time: what the kernel forgets comes back in one request of so many. */
const BATCH = 2048;
/** The kernel forgets a directory only after what is in it, so that all are asked about twice. */
const ROUNDS = 2;

/**
 * Bounds the entries, which are inodes and open files, that the filesystems of one process keep in memory. When an inode
 * is forgotten is the kernel's decision, and without being asked it may never do so.
 *
 * Above half of `max` the kernel is asked to forget inodes of the filesystem that has the most, as long as that has
 * more than its fair share. Above three quarters, which happens when programs have that much open, filesystems
 * with more than their share get no new entry; at `max` none does.
 */
export class EntryBudget {
  readonly max: number;
  private readonly keepers = new Set<EntryKeeper>();
  private total = 0;
  private ended = 0;
  private sweeping = false;
  private nextSweep: number;

  constructor(max: number) {
    this.max = max;
    this.nextSweep = max * SOFT;
  }

  /** Entries kept now, over all filesystems. */
  get used(): number {
    return this.total;
  }

  /** True if it matters which inodes were looked up last. */
  get isScarce(): boolean {
    return this.total > (this.max * SOFT) / 2;
  }

  join(keeper: EntryKeeper): void {
    this.keepers.add(keeper);
  }

  /** The filesystem ended, and gives back all it has. */
  leave(keeper: EntryKeeper): void {
    this.keepers.delete(keeper);
    this.total -= keeper.size;
    this.ended += keeper.size;
    this.nextSweep = this.max * SOFT;
  }

  take(): void {
    this.total++;
    if (this.total > this.nextSweep && !this.sweeping) void this.sweep();
  }

  give(): void {
    this.total--;
  }

  /** Entries of filesystems that ended since this was last called. */
  takeEnded(): number {
    const { ended } = this;
    this.ended = 0;
    return ended;
  }

  /** True if a filesystem with so many entries may have another. */
  admits(size: number): boolean {
    if (this.total < this.max * HIGH) return true;
    return this.total < this.max && size < this.share(HIGH);
  }

  private share(part: number): number {
    return (this.max * part) / Math.max(1, this.keepers.size);
  }

  private async sweep(): Promise<void> {
    this.sweeping = true;
    const low = this.max * LOW;
    const looked = new Map<EntryKeeper, number>();
    try {
      for (;;) {
        const keeper = this.total > low ? this.largest(looked) : null;
        if (keeper === null) break;
        const count = await keeper.letGo(Math.min(BATCH, Math.ceil(this.total - low)));
        looked.set(keeper, (looked.get(keeper) ?? 0) + Math.max(1, count));
      }
    } finally {
      this.sweeping = false;
      this.nextSweep = Math.max(this.max * SOFT, this.total + this.max * AGAIN);
    }
  }

  /** The filesystem with the most entries, unless that is its fair share, or all of it was looked at. */
  private largest(looked: ReadonlyMap<EntryKeeper, number>): EntryKeeper | null {
    let largest: EntryKeeper | null = null;
    let most = this.share(LOW);
    for (const keeper of this.keepers) {
      if (keeper.size <= most || (looked.get(keeper) ?? 0) >= ROUNDS * keeper.size) continue;
      largest = keeper;
      most = keeper.size;
    }
    return largest;
  }
}
