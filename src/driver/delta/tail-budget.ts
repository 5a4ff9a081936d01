import { heapShare } from '../../base/heap-share.ts';

/** About what a changed name or inode takes in memory, bytes. */
const RECORD_BYTES = 700;
/** The part of the heap for all of them. */
const HEAP_PART = 0.25;
/** An env with less than this part of all does not pay for the others at once; nor does what frees space. */
const SMALL_PART = 1 / 16;
const RESERVE = 1.25;

/**
 * Bounds the changes that envs of one process have in memory until a checkpoint moves them to the link table. A
 * checkpoint may fail for as long as the disk is full, or be slower than the changes come.
 */
export class TailBudget {
  readonly max: number;
  used = 0;

  /** @param max names and inodes */
  constructor(max: number) {
    this.max = max;
  }

  /**
   * True if a change may be made.
   * @param tail what its env has in memory already
   * @param frees it removes something
   */
  admits(tail: number, frees: boolean): boolean {
    if (this.used < this.max) return true;
    return this.used < this.max * RESERVE && (frees || tail < this.max * SMALL_PART);
  }
}

/** For all envs of this process. */
export const tailBudget = new TailBudget(heapShare(HEAP_PART, RECORD_BYTES));
