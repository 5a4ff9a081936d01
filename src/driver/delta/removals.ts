import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Ino } from '../../base/ids.ts';

/** Removals made before other work gets a turn: an unlink takes 10 us and more. */
const SLICE = 64;

interface Removal {
  readonly order: number;
  readonly blocks: number;
}

/** Private files that will be removed once a flush has made it durable that nothing refers to them. */
export class Removals {
  readonly #unlink: (ino: Ino) => number;
  readonly #waiting = new Map<Ino, Removal>();
  #order = 0;
  #blocks = 0;
  /** Resolves when files may be removed again; null while they may. */
  #held: Promise<void> | null = null;

  constructor(unlink: (ino: Ino) => number) {
    this.#unlink = unlink;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** The number of st_blocks that these files take. */
  get blocks(): number {
    return this.#blocks;
  }

  add(ino: Ino, blocks: number): void {
    this.forget(ino);
    this.#waiting.set(ino, { order: ++this.#order, blocks });
    this.#blocks += blocks;
  }

  has(ino: Ino): boolean {
    return this.#waiting.has(ino);
  }

  forget(ino: Ino): void {
    this.#blocks -= this.#waiting.get(ino)?.blocks ?? 0;
    this.#waiting.delete(ino);
  }

  /** Returns a mark for runUpTo() that covers what was added until now. */
  mark(): number {
    return this.#order;
  }

  /** Removes no file from now on, until the returned function is called. Holds don't overlap. */
  hold(): () => void {
    let release!: () => void;
    this.#held = new Promise((resolve) => {
      release = () => {
        this.#held = null;
        resolve();
      };
    });
    return release;
  }

  async runUpTo(mark: number): Promise<void> {
    let left = SLICE;
    // Map order is the order of adding; what is added meanwhile comes last, and ends the loop.
    for (const [ino, removal] of this.#waiting) {
      if (removal.order > mark) return;
      while (this.#held !== null) await this.#held;
      // Meanwhile the number may have got another file.
      if (this.#waiting.get(ino) !== removal) continue;
      this.#remove(ino);
      if (--left > 0) continue;
      left = SLICE;
      await nextTurn();
    }
  }

  /** Removes all at once. Returns false if there is none, or they are held. */
  runNow(): boolean {
    if (this.size === 0 || this.#held !== null) return false;
    for (const ino of [...this.#waiting.keys()]) this.#remove(ino);
    return true;
  }

  #remove(ino: Ino): void {
    this.forget(ino);
    this.#unlink(ino);
  }
}
