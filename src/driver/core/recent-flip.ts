import type { Ino, Name } from '../../base/ids.ts';
import type { TreeDiff } from './tree-diff.ts';

/** How long a path walk may take from one component to the next, on a machine that is very busy. */
const MOMENT_MS = 5_000;

/**
 * Names that a flip took away a moment ago. A path walk that began before the flip may have read an old symlink, and
 * come only now to the name it leads to: the path exists, in both versions, and yet this name does not. So it is
 * told ESTALE, at which the kernel walks the path once more from its start, asking for every component;
 * if it comes here again the name is really absent.
 */
export class RecentFlip {
  readonly #change: TreeDiff;
  readonly #until = Date.now() + MOMENT_MS;
  /** "thread directory name" of walks that were told to begin again. */
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

  /** True if this thread's walk is to begin again. @param thread the caller's pid, as FUSE gives it */
  beginsAgain(thread: number, dir: Ino, name: Name): boolean {
    const walk = `${thread} ${dir} ${name}`;
    if (this.#told.delete(walk)) return false;
    this.#told.add(walk);
    return true;
  }
}

/** For who wants to let go of it in time. */
export const RECENT_FLIP_MS = MOMENT_MS;
