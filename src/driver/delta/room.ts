import path from 'node:path';
import { isFull } from '../../base/errno.ts';
import { O_CLOEXEC, O_CREAT, O_RDWR } from '../../base/mode.ts';
import { AT_FDCWD, native, STAT, STAT_SLOTS } from '../../native/binding.ts';
import { openFile } from '../../native/open-file.ts';
import { ROOM_FILE } from './layout.ts';

/** Gives up some of what is set aside for all envs. Returns false if there is nothing left of it. */
export type GiveShared = (bytes: number) => boolean;

/** Less than this is of no use. */
const PIECE_MIN = 4096;

const stat = new Float64Array(STAT_SLOTS);

/**
 * Space that an env has set aside, to give it up when the disk is full: for a journal segment, or for a checkpoint, which
 * frees the segments before it. It is a file whose bytes mean nothing.
 */
export class Room {
  readonly #file: string;
  readonly #giveShared: GiveShared;
  /** -1: it has to be looked how many it has. */
  #bytes = -1;

  constructor(envDir: string, giveShared: GiveShared) {
    this.#file = path.join(envDir, ROOM_FILE);
    this.#giveShared = giveShared;
  }

  /** How many bytes it has. */
  get bytes(): number {
    if (this.#bytes < 0) {
      const found = native.statAt(AT_FDCWD, this.#file, stat, 0);
      this.#bytes = found === 0 ? stat[STAT.size]! : 0;
    }
    return this.#bytes;
  }

  /** Makes sure that it has `bytes`, or as many of them as there is space for. */
  keep(bytes: number): void {
    let piece = bytes - this.bytes;
    while (this.bytes < bytes && piece >= PIECE_MIN) {
      if (!this.#grow(Math.min(piece, bytes - this.bytes))) piece = Math.floor(piece / 2);
    }
  }

  #grow(bytes: number): boolean {
    const has = this.bytes;
    const failed = this.#with((fd) => native.fallocate(fd, 0, has, bytes));
    // Where space can't be set aside, that need not be asked again.
    this.#bytes = isFull(failed) ? -1 : has + bytes;
    return !isFull(failed);
  }

  /** Gives up what it has beyond `bytes`. */
  shrink(bytes: number): void {
    if (bytes >= this.bytes) return;
    const failed = this.#with((fd) => native.ftruncate(fd, bytes));
    if (failed === 0) this.#bytes = bytes;
  }

  /**
   * Gives up to `bytes` of it, for whoever takes them at once: others on the disk may be faster. Returns false if there was
   * nothing to give.
   */
  give(bytes: number): boolean {
    const has = this.bytes;
    this.shrink(Math.max(0, has - bytes));
    return has > 0;
  }

  /** Does the same with what is set aside for all envs: for an env that has nothing left itself. */
  giveShared(bytes: number): boolean {
    return this.#giveShared(bytes);
  }

  /** Removes it: there is nothing that an env which is closed could need it for. */
  remove(): void {
    native.unlinkAt(AT_FDCWD, this.#file, 0);
    this.#bytes = 0;
  }

  #with(call: (fd: number) => number): number {
    const fd = openFile(AT_FDCWD, this.#file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
    if (fd < 0) return fd;
    const result = call(fd);
    native.close(fd);
    return result;
  }
}
