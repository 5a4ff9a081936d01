import type { Ino, Name } from '../../base/ids.ts';
import type { TreeDiff } from './tree-diff.ts';

/** How long a path walk may take from one component to the next, on a very busy machine. */
const MOMENT_MS = 5_000;

/**
 * The names that a flip took away a moment ago. A path walk that began before the flip may have read an old
 * symlink, and reach the name it leads to only now: the path exists in both versions, and yet this name does not.
 * So the walk is told ESTALE, at which the kernel walks the path once more from its start, asking for every
 * component. If it comes here again, the name is really absent.
 */
export class RecentFlip {
  readonly #change: TreeDiff;
  readonly #until = Date.now() + MOMENT_MS;
  /** Walks that were told to begin again, as "thread directory name". */
  readonly #told = new Set<string>();

  constructor(change: TreeDiff) {
    this.#change = change;
  }

  get isOver(): boolean {
    return Date.now() > this.#until;
  }

  takenAway(dir: Ino, name: Name): boolean {
    return this.#change.find(dir, name)?.is === null && !this.isOver;
  }

  /**
   * Returns true if this thread's walk must begin again; the second time for the same name, false.
   * @param thread the caller's pid, as FUSE gives it
   */
  beginsAgain(thread: number, dir: Ino, name: Name): boolean {
    const walk = `${thread} ${dir} ${name}`;
    if (this.#told.delete(walk)) return false;
    this.#told.add(walk);
    return true;
  }
}

/** How long a RecentFlip matters; its owner drops it after this. */
export const RECENT_FLIP_MS = MOMENT_MS;
