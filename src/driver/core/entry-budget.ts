/** What a filesystem keeps: entries of all kinds, and of these the inodes of the env's own files. */
export type Kind = 'all' | 'own';

/** One filesystem that keeps entries in memory, as the budget sees it. */
export interface EntryKeeper {
  /** The number of entries of a kind that it keeps now. */
  size(kind: Kind): number;
  /**
   * Asks the kernel to forget inodes that are not in use, least recently looked up first. Resolves once the
   * forgotten ones are dropped, to the number of inodes that were looked at.
   * @param max ask about at most this many
   */
  letGo(max: number): Promise<number>;
}

const KINDS: readonly Kind[] = ['all', 'own'];
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
 *
 * Of files of the envs' own the kernel is asked to forget some above half of `ownMax`: a program may make millions of them
 * that nobody looks at again, and each takes twice what a template's file does, whose parts all envs share.
 */
export class EntryBudget {
  readonly max: number;
  private readonly keepers = new Set<EntryKeeper>();
  private readonly total: Record<Kind, number> = { all: 0, own: 0 };
  private readonly most: Readonly<Record<Kind, number>>;
  private readonly nextSweep: Record<Kind, number>;
  private ended = 0;
  private sweeping = false;

  constructor(max: number, ownMax = max) {
    this.max = max;
    this.most = { all: max, own: ownMax };
    this.nextSweep = { all: max * SOFT, own: ownMax * SOFT };
  }

  /** The number of entries kept now, over all filesystems. */
  get used(): number {
    return this.total.all;
  }

  /** True if memory is short enough that the order of lookups matters. */
  get isScarce(): boolean {
    const { total, most } = this;
    return total.all > (most.all * SOFT) / 2 || total.own > (most.own * SOFT) / 2;
  }

  join(keeper: EntryKeeper): void {
    this.keepers.add(keeper);
  }

  /** Removes a filesystem that ended, and takes back all its entries. */
  leave(keeper: EntryKeeper): void {
    this.keepers.delete(keeper);
    this.ended += keeper.size('all');
    for (const kind of KINDS) {
      this.total[kind] -= keeper.size(kind);
      this.nextSweep[kind] = this.most[kind] * SOFT;
    }
  }

  /** @param isOwn true for the inode of a file of the env's own */
  take(isOwn = false): void {
    this.total.all++;
    if (isOwn) this.total.own++;
    if (!this.sweeping && KINDS.some((kind) => this.total[kind] > this.nextSweep[kind]))
      void this.sweep();
  }

  give(isOwn = false): void {
    this.total.all--;
    if (isOwn) this.total.own--;
  }

  /** Returns the number of entries of filesystems that ended since the last call. */
  takeEnded(): number {
    const { ended } = this;
    this.ended = 0;
    return ended;
  }

  /** Returns true if a filesystem that has `size` entries may have another. */
  admits(size: number): boolean {
    if (this.used < this.max * HIGH) return true;
    return this.used < this.max && size < this.share('all', HIGH);
  }

  private share(kind: Kind, part: number): number {
    return (this.most[kind] * part) / Math.max(1, this.keepers.size);
  }

  private async sweep(): Promise<void> {
    this.sweeping = true;
    try {
      for (const kind of KINDS)
        if (this.total[kind] > this.nextSweep[kind]) await this.sweepKind(kind);
    } finally {
      this.sweeping = false;
    }
  }

  private async sweepKind(kind: Kind): Promise<void> {
    const most = this.most[kind];
    const low = most * LOW;
    const looked = new Map<EntryKeeper, number>();
    try {
      for (;;) {
        const keeper = this.total[kind] > low ? this.largest(kind, looked) : null;
        if (keeper === null) break;
        const count = await keeper.letGo(Math.min(BATCH, Math.ceil(this.total[kind] - low)));
        looked.set(keeper, (looked.get(keeper) ?? 0) + Math.max(1, count));
      }
    } finally {
      this.nextSweep[kind] = Math.max(most * SOFT, this.total[kind] + most * AGAIN);
    }
  }

  /**
   * Returns the filesystem with the most entries of a kind; null if none has more than its fair share and is not yet looked
   * through.
   */
  private largest(kind: Kind, looked: ReadonlyMap<EntryKeeper, number>): EntryKeeper | null {
    let largest: EntryKeeper | null = null;
    let most = this.share(kind, LOW);
    for (const keeper of this.keepers) {
      const size = keeper.size(kind);
      if (size <= most || (looked.get(keeper) ?? 0) >= ROUNDS * keeper.size('all')) continue;
      largest = keeper;
      most = size;
    }
    return largest;
  }
}
