import type { Inode } from './inode.ts';

/**
 * Delay before an inode that was still in use at its last close is examined again, in ms. It grows eightfold each
 * time.
 */
const FIRST_DELAY_MS = 10;
const DELAY_GROWTH = 8;
const DELAY_MAX_MS = 60_000;

/** Inodes whose copy is to be given back, but was still in use: see give-back.ts. */
export class Unwritten {
  #again: (inode: Inode) => void = () => {};
  readonly #waiting = new Map<Inode, NodeJS.Timeout>();
  /** The next delay of inodes that were already examined in vain, in ms. */
  readonly #delays = new Map<Inode, number>();

  /** Sets the function that is called for each inode that is due. */
  start(again: (inode: Inode) => void): void {
    this.#again = again;
  }

  add(inode: Inode): void {
    if (this.#waiting.has(inode)) return;
    const delay = this.#delays.get(inode) ?? FIRST_DELAY_MS;
    this.#delays.set(inode, Math.min(delay * DELAY_GROWTH, DELAY_MAX_MS));
    const timer = setTimeout(() => {
      this.#waiting.delete(inode);
      this.#again(inode);
    }, delay);
    this.#waiting.set(inode, timer.unref());
  }

  drop(inode: Inode): void {
    clearTimeout(this.#waiting.get(inode));
    this.#waiting.delete(inode);
    this.#delays.delete(inode);
  }

  clear(): void {
    for (const inode of [...this.#waiting.keys()]) this.drop(inode);
    this.#delays.clear();
  }
}
