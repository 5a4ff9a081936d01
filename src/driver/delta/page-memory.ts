/** Memory for pages that were read from link tables, for all envs of a process. */

/** Whose pages are kept: told when one must make room. */
export interface PageOwner {
  forget(page: number): void;
}

/** LMDB's pages on machines with pages of 4 KiB. */
export const PAGE_BYTES = 4096;
/** 16 MiB, which are taken from the machine as they are used. */
const SLOTS = 4096;

export class PageMemory {
  readonly bytes: Buffer;
  readonly #owners: (PageOwner | null)[];
  readonly #pages: number[];
  /** Slots that were used since the hand passed them. */
  readonly #used: Uint8Array;
  readonly #free: number[] = [];
  /** Slots from this one up were never used. */
  #fresh = 0;
  #hand = 0;

  constructor(slots = SLOTS) {
    this.bytes = Buffer.allocUnsafeSlow(slots * PAGE_BYTES);
    this.#owners = new Array<PageOwner | null>(slots).fill(null);
    this.#pages = new Array<number>(slots).fill(0);
    this.#used = new Uint8Array(slots);
  }

  /** Returns a slot for a page: its bytes begin at slot * PAGE_BYTES. Another owner may have to forget a page for it. */
  take(owner: PageOwner, page: number): number {
    const slot =
      this.#free.pop() ?? (this.#fresh < this.#pages.length ? this.#fresh++ : this.#evict());
    this.#owners[slot] = owner;
    this.#pages[slot] = page;
    this.#used[slot] = 1;
    return slot;
  }

  /** Notes that the page in this slot was used. */
  touch(slot: number): void {
    this.#used[slot] = 1;
  }

  /** Takes back a slot, whose owner has forgotten the page. */
  release(slot: number): void {
    this.#owners[slot] = null;
    this.#free.push(slot);
  }

  /** Makes the owner of a page forget it that was not used for a round of the hand; to be called when all slots are taken. */
  #evict(): number {
    for (;;) {
      const slot = this.#hand;
      this.#hand = (slot + 1) % this.#pages.length;
      if (this.#used[slot] === 0) {
        this.#owners[slot]?.forget(this.#pages[slot]!);
        return slot;
      }
      this.#used[slot] = 0;
    }
  }
}

/** The one of this process. */
export const pageMemory = new PageMemory();
