import path from 'node:path';
import { isFull } from '../../base/errno.ts';
import { O_CLOEXEC, O_CREAT, O_RDWR } from '../../base/mode.ts';
import { AT_FDCWD, native, STAT, STAT_SLOTS } from '../../native/binding.ts';
import { openFile } from '../../native/open-file.ts';
import { SPARE_FILE } from './layout.ts';

const FALLOC_FL_KEEP_SIZE = 1;
const stat = new Float64Array(STAT_SLOTS);

/**
 * A file with all of its blocks, to become a journal segment on a full disk. It gets a name, and the next spare one is the segment that
 * it took over from: no block is given up on the way, so nobody else on the disk can be faster.
 */
export class SpareSegment {
  readonly #file: string;
  readonly #bytes: number;
  #isThere = false;

  /** @param bytes how many it has */
  constructor(envDir: string, bytes: number) {
    this.#file = path.join(envDir, SPARE_FILE);
    this.#bytes = bytes;
  }

  get isThere(): boolean {
    return this.#isThere;
  }

  /** Makes one, if there is none and there is space for it. */
  keep(): void {
    if (this.#isThere) return;
    const fd = openFile(AT_FDCWD, this.#file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
    if (fd < 0) return;
    this.#isThere = this.#clear(fd);
    native.close(fd);
    if (!this.#isThere) this.remove();
  }

  /** Gives it another name. Returns false if there is none. */
  moveTo(file: string): boolean {
    if (!this.#isThere || native.renameAt(AT_FDCWD, this.#file, AT_FDCWD, file, 0) < 0)
      return false;
    this.#isThere = false;
    return true;
  }

  /** Makes it of a segment that nobody needs any more. Returns false if that is still there. */
  takeFrom(file: string): boolean {
    if (native.renameAt(AT_FDCWD, file, AT_FDCWD, this.#file, 0) < 0) return false;
    this.#isThere = false;
    this.keep();
    return true;
  }

  remove(): void {
    native.unlinkAt(AT_FDCWD, this.#file, 0);
    this.#isThere = false;
  }

  /** Overwrites what it has with zeros, with which a segment may end, and sees to it that it has its blocks. */
  #clear(fd: number): boolean {
    if (native.statFd(fd, stat) < 0) return false;
    const has = Math.min(stat[STAT.size]!, this.#bytes);
    if (has < stat[STAT.size]! && native.ftruncate(fd, has) < 0) return false;
    if (has > 0 && native.pwrite(fd, Buffer.alloc(has), 0, has, 0) < has) return false;
    if (has === this.#bytes) return true;
    return !isFull(native.fallocate(fd, FALLOC_FL_KEEP_SIZE, has, this.#bytes - has));
  }
}
