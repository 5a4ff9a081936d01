/** One filesystem that keeps entries in memory, as the budget sees it. */
export interface EntryKeeper {
  /** The number of entries that it keeps now. */
  readonly size: number;
  /**
   * Asks the kernel to forget inodes that are not in use, least recently looked up first. Resolves once the
   * forgotten ones are dropped, to the number of inodes that were looked at.
   * @param max ask about at most this many
   */
  letGo(max: number): Promise<number>;
}

/** The share of all entries above which the kernel is asked to forget, and the share down to which it is asked. */
const SOFT = 0.5;
const LOW = 0.45;
/** The share above which only a filesystem with less than its fair share gets another entry. */
const HIGH = 0.75;
/** After the kernel kept what it was asked about, it is asked again when this share of all entries has come on top. */
const AGAIN = 1 / 32;
/** Inodes asked about at a time; the kernel reports those that it forgot in one request. */
const BATCH = 2048;
/** The kernel forgets a directory only after what is in it, so every inode is asked about twice. */
const ROUNDS = 2;

/**
 * Limits the entries (inodes and open files) that the filesystems of one process keep in memory. The kernel
 * decides when an inode is forgotten, and unless asked it may never do so.
 *
 * Above half of `max` the kernel is asked to forget inodes of the filesystem that has the most, as long as that
 * has more than its fair share. Above three quarters, which happens when programs have that much open, filesystems
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

  /** The number of entries kept now, over all filesystems. */
  get used(): number {
    return this.total;
  }

  /** True if memory is short enough that the order of lookups matters. */
  get isScarce(): boolean {
    return this.total > (this.max * SOFT) / 2;
  }

  join(keeper: EntryKeeper): void {
    this.keepers.add(keeper);
  }

  /** Removes a filesystem that ended, and takes back all its entries. */
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

  /** Returns the number of entries of filesystems that ended since the last call. */
  takeEnded(): number {
    const { ended } = this;
    this.ended = 0;
    return ended;
  }

  /** Returns true if a filesystem that has `size` entries may have another. */
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

  /**
   * Returns the filesystem with the most entries; null if none has more than its fair share and is not yet looked
   * through.
   */
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
