import { heapShare } from '../../base/heap-share.ts';
import { RECORD_BYTES } from './generation.ts';

/** The share of the heap for all pending changes. */
const HEAP_PART = 0.25;
/**
 * An env with less than this share of the maximum may still change something when the budget is full, up to RESERVE
 * times the maximum; so may a change that frees space.
 */
const SMALL_PART = 1 / 16;
const RESERVE = 1.25;

/**
 * Limits the pending changes that the envs of one process keep in memory until a checkpoint moves them to the link
 * table. A checkpoint may fail as long as the disk is full, or be slower than the changes come.
 */
export class TailBudget {
  readonly max: number;
  used = 0;

  /** @param max the number of names and inodes, of usual length */
  constructor(max: number) {
    this.max = max;
  }

  /**
   * Returns true if a change may be made.
   * @param tail what its env already has in memory, counted so: Generation.size
   * @param frees the change removes something
   */
  admits(tail: number, frees: boolean): boolean {
    if (this.used < this.max) return true;
    return this.used < this.max * RESERVE && (frees || tail < this.max * SMALL_PART);
  }
}

/** The budget of all envs of this process. */
export const tailBudget = new TailBudget(heapShare(HEAP_PART, RECORD_BYTES));
