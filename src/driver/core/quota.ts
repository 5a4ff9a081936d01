/**
 * The limits of what an env takes on disk. A change that would go beyond one is refused with EDQUOT before it is made;
 * what frees space, renames or sets attributes never is. While the bytes are bounded, every write of a private file
 * comes to this process: see ioMode() in open.ts, and docs/internals/adr/0029.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ino } from '../../base/ids.ts';
import type { DiskLimits, FileCalls, PrivateUsage, SpaceStat } from './ports.ts';

/** An env that may fill the disk. */
export const NO_DISK_LIMITS: DiskLimits = { bytes: null, inodes: null };

/**
 * How long a refusal waits for files that were removed: the kernel tells when it no longer uses one, but soon after the
 * program has its answer. In ms.
 */
const FORGET_WAITS_MS = [1, 4, 16];
/** The most inodes without a name that are looked at for one answer. */
const ORPHANS_MAX = 10_000;

/** Room that an operation on the thread pool may use. */
export interface Hold {
  /** How many of the bytes may be written. */
  readonly length: number;
  /** How many bytes on disk are kept from others meanwhile. */
  readonly bytes: number;
}

/** One env's limits, and what is left of them. */
export class Quota {
  readonly #usage: PrivateUsage;
  readonly #files: Pick<FileCalls, 'fitting'>;
  readonly #isOpen: (ino: Ino) => boolean;
  /** The unit in which the file system below gives out space, in bytes. */
  readonly #block: () => number;
  #limits = NO_DISK_LIMITS;
  /** Bytes that operations on the thread pool may still allocate. */
  #held = 0;
  /** How many operations are in getRoom(). */
  #waiting = 0;

  constructor(
    usage: PrivateUsage,
    files: Pick<FileCalls, 'fitting'>,
    block: () => number,
    isOpen: (ino: Ino) => boolean,
  ) {
    this.#usage = usage;
    this.#files = files;
    this.#block = block;
    this.#isOpen = isOpen;
  }

  /** Sets other limits. What is beyond them already stays. `usage` has to be counting, unless there are none. */
  set(limits: DiskLimits): void {
    this.#limits = limits;
    if (limits.bytes === null && limits.inodes === null) this.#usage.stop();
  }

  /** True if the bytes of private files are bounded. */
  get boundsBytes(): boolean {
    return this.#limits.bytes !== null;
  }

  /** Returns true if one more inode may be made. */
  admitsInode(): boolean {
    const { inodes } = this.#limits;
    if (inodes === null || this.#usage.inodes < inodes) return true;
    return this.#usage.inodes - this.#unused().inodes < inodes;
  }

  /** True if more is taken than may be: a limit was lowered, or the file system below took more than was written. */
  get isExceeded(): boolean {
    return this.#room < 0;
  }

  /** Returns the bytes that one private file was last seen to take. */
  bytesOf(ino: Ino): number {
    return this.#usage.bytesOf(ino);
  }

  /** Returns true if `bytes` more may be taken on disk. */
  admits(bytes: number): boolean {
    return bytes <= this.#room;
  }

  /** Returns the bytes of the blocks that a range touches. */
  span(offset: number, length: number): number {
    const block = this.#block();
    return (Math.ceil((offset + length) / block) - Math.floor(offset / block)) * block;
  }

  /** Keeps `bytes` for an operation that will take them, or less; to be given back by release(). */
  take(bytes: number): void {
    this.#held += bytes;
  }

  /** Returns how many of `length` bytes from `offset` on may be written to the open file. */
  fit(fd: number, offset: number, length: number): number {
    if (this.span(offset, length) <= this.#room) return length;
    return this.#files.fitting(fd, offset, length, this.#room, this.#block());
  }

  /** Like fit(), for a write that is made on the thread pool: what it may take is kept until release(). */
  hold(fd: number, offset: number, length: number): Hold {
    if (!this.boundsBytes) return { length, bytes: 0 };
    const fits = this.fit(fd, offset, length);
    const bytes = Math.max(0, Math.min(this.span(offset, fits), this.#room));
    this.#held += bytes;
    return { length: fits, bytes };
  }

  /** Ends a hold. */
  release(bytes: number): void {
    this.#held -= bytes;
  }

  /** Looks at a private file again after it was written to or cut. */
  charge(ino: Ino, fd: number): void {
    if (this.#usage.isCounting) this.#usage.update(ino, fd);
  }

  /**
   * Returns true if an operation has to wait for getRoom() before it is made or refused: it does not fit while what was
   * removed is still on disk.
   */
  isTight(bytes: number): boolean {
    if (!this.boundsBytes) return false;
    const { leavingBytes, orphans } = this.#usage;
    return bytes > this.#room - leavingBytes && (leavingBytes > 0 || orphans.size > 0);
  }

  /** Like isTight(), for a write. */
  isTightFor(fd: number, offset: number, length: number): boolean {
    if (!this.isTight(this.span(offset, length))) return false;
    const room = this.#room - this.#usage.leavingBytes;
    return this.#files.fitting(fd, offset, length, room, this.#block()) < length;
  }

  /** Resolves when there is room for `bytes`, or nothing that was removed is left to wait for. */
  async getRoom(bytes: number): Promise<void> {
    const { orphans } = this.#usage;
    this.#waiting++;
    try {
      for (const wait of FORGET_WAITS_MS) {
        if (orphans.size === 0 || bytes <= this.#room) break;
        await sleep(wait);
      }
      await this.#usage.settle();
    } finally {
      this.#waiting--;
    }
  }

  /** True while an operation waits for room. */
  get isWaited(): boolean {
    return this.#waiting > 0;
  }

  /** Like getRoom(), for a write. */
  getRoomFor(offset: number, length: number): Promise<void> {
    return this.getRoom(this.span(offset, length));
  }

  /** Shows the limits as the size of the file system, and what is left of them as free. */
  shown(out: SpaceStat): void {
    const { bytes, inodes } = this.#limits;
    if (bytes === null && inodes === null) return;
    const unused = this.#unused();
    if (bytes !== null) {
      out.blocks = Math.floor(bytes / out.bsize);
      out.bfree = Math.max(0, Math.floor((this.#room + unused.bytes) / out.bsize));
      out.bavail = Math.min(out.bavail, out.bfree);
    }
    if (inodes !== null) {
      out.files = inodes;
      out.ffree = Math.max(0, Math.min(out.ffree, inodes - this.#usage.inodes + unused.inodes));
    }
  }

  /** Bytes that may still be taken; negative if the limit was lowered. */
  get #room(): number {
    const { bytes } = this.#limits;
    return bytes === null ? Number.MAX_SAFE_INTEGER : bytes - this.#usage.bytes - this.#held;
  }

  /** Returns what inodes take that have no name and are not open: they are about to go. */
  #unused(): { inodes: number; bytes: number } {
    const unused = { inodes: 0, bytes: 0 };
    let left = ORPHANS_MAX;
    for (const ino of this.#usage.orphans) {
      if (left-- === 0) break;
      if (this.#isOpen(ino)) continue;
      unused.inodes++;
      unused.bytes += this.#usage.bytesOf(ino);
    }
    return unused;
  }
}
