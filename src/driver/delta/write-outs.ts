import { isShortage } from '../../base/errno.ts';
import type { Ino } from '../../base/ids.ts';
import { native } from '../../native/binding.ts';

/** Rounds of waiting before a flush goes on anyway; each round waits for what was added during the one before. */
const ROUNDS_MAX = 8;
/** Files synced side by side. */
const AT_ONCE = 4;
/** If a process that was killed left more files than this, one syncfs puts them all on disk. */
const ONE_BY_ONE_MAX = 32;
/** Delay before a write-back starts, in ms: many files are replaced again, or removed, before that. */
const DELAY_MS = 30;

/**
 * Private files whose bytes must be on disk before the journal's records: those that were renamed over another
 * file, or truncated and written anew. Their write-back starts soon after they are added.
 */
export class WriteOuts {
  readonly #open: (ino: Ino) => number;
  readonly #syncAll: () => Promise<number>;
  /** True if so many files wait that all of the file system is put on disk instead. */
  #isAll = false;
  #waiting = new Set<Ino>();
  /** Those of the waiting files whose write-back is still to be started. */
  readonly #new = new Set<Ino>();
  #timer: NodeJS.Timeout | null = null;

  /**
   * @param open opens a private file; returns a descriptor or -errno
   * @param syncAll puts the whole file system on disk; resolves to 0 or -errno
   */
  constructor(open: (ino: Ino) => number, syncAll: () => Promise<number>) {
    this.#open = open;
    this.#syncAll = syncAll;
  }

  /** Adds the files that may have waited in a process that was killed. Their write-back is left to the next sync(). */
  takeOver(inos: readonly Ino[]): void {
    this.#isAll = inos.length > ONE_BY_ONE_MAX;
    if (!this.#isAll) for (const ino of inos) this.#waiting.add(ino);
  }

  add(ino: Ino): void {
    this.#waiting.add(ino);
    this.#new.add(ino);
    this.#timer ??= setTimeout(() => this.#start(), DELAY_MS).unref();
  }

  /** Drops a removed file: nothing of it need be on disk. */
  remove(ino: Ino): void {
    this.#waiting.delete(ino);
    this.#new.delete(ino);
  }

  #start(): void {
    this.#timer = null;
    for (const ino of this.#new) {
      const fd = this.#open(ino);
      if (fd >= 0) void native.writeOutAsync(fd);
    }
    this.#new.clear();
  }

  /**
   * Waits until the bytes of all added files are on disk. A disk that refuses some is no reason to hold back the
   * journal: a local file system loses such bytes likewise, and tells the programs that have the file open.
   * Resolves to 0; or to -errno if one could not be opened for want of descriptors or memory: it waits on.
   */
  async sync(): Promise<number> {
    let failed = 0;
    if (this.#isAll) {
      const short = await this.#syncAll();
      if (isShortage(short)) return short;
      this.#isAll = false;
    }
    for (let round = 0; this.#waiting.size > 0 && round < ROUNDS_MAX; round++) {
      const inos = [...this.#waiting];
      this.#waiting = new Set();
      this.#new.clear();
      for (let at = 0; at < inos.length; at += AT_ONCE) {
        const some = inos.slice(at, at + AT_ONCE);
        const results = await Promise.all(some.map((ino) => this.#sync(ino)));
        failed = results.find((result) => result < 0) ?? failed;
      }
      if (failed < 0) break;
    }
    return failed;
  }

  async #sync(ino: Ino): Promise<number> {
    const fd = this.#open(ino);
    if (isShortage(fd)) {
      this.#waiting.add(ino);
      return fd;
    }
    // Removed meanwhile, so there is nothing left to lose.
    if (fd < 0) return 0;
    await native.fsyncAsync(fd, true);
    native.close(fd);
    return 0;
  }
}
