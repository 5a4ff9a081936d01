import path from 'node:path';
import { EIO, ENOSPC, isFull } from '../../base/errno.ts';
import { failpoint, failpointError } from '../../base/failpoints.ts';
import { type Keeper, keptDescriptors } from '../../base/kept-descriptors.ts';
import { O_CLOEXEC, O_CREAT, O_EXCL, O_RDWR } from '../../base/mode.ts';
import { AT_FDCWD, native } from '../../native/binding.ts';
import { openFile } from '../../native/open-file.ts';
import type { Hash64 } from './hash.ts';
import { encodeHeader, SEGMENT_HEADER_SIZE, type SegmentHeader } from './journal-format.ts';
import { segmentName } from './layout.ts';
import type { SpareSegment } from './spare-segment.ts';

/**
 * Space held beyond the last record for when the disk is full, in bytes. A removal needs a record before it frees anything; a
 * rename or a link needs none that a local file system would not find in the blocks of its directories.
 */
const FOR_REMOVALS = 32 * 1024;
const FOR_MOVES = 64 * 1024;
/** How much of that is to be there for a checkpoint to be waited for: what is served meanwhile goes on. */
const SHORT = FOR_REMOVALS + FOR_MOVES / 2;
const RESERVE = FOR_REMOVALS + FOR_MOVES;
const RESERVE_STEP = 192 * 1024;
/** The length of a segment that has a reserve and nothing else. */
export const SPARE_BYTES = SEGMENT_HEADER_SIZE + RESERVE;

/**
 * What a change does on a full disk: it `frees` something, or changes what takes no space; it `moves` inodes that there are
 * to other names, or gives them more; or it `adds` one, for which there is no space.
 */
export type Need = 'frees' | 'moves' | 'adds';
const FALLOC_FL_KEEP_SIZE = 1;

/** One journal file, for appending. It is closed while it is not used, if descriptors are short. */
export class Segment implements Keeper {
  readonly path: string;
  readonly number: number;
  readonly header: SegmentHeader;
  used = 0;
  /** -1: it is closed. */
  #fd: number;
  /** The number of bytes that hold the header and whole records. */
  length: number;
  /** What syncNow() failed with: the kernel tells it once, and every sync after that has to. */
  #failed = 0;
  /** How many syncs are under way on the thread pool. */
  #syncing = 0;
  /** The offset up to which the file system has set space aside. */
  #reservedEnd = 0;
  /** True if the disk had no space when more was to be set aside. */
  #isFull = false;
  /** The number of bytes that are known to be on disk. */
  syncedLength = 0;
  /** True if the file's own directory entry is on disk. */
  entrySynced = false;

  constructor(path: string, number: number, header: SegmentHeader, fd: number, length: number) {
    this.path = path;
    this.number = number;
    this.header = header;
    this.#fd = fd;
    this.length = length;
    keptDescriptors.opened(this, 1);
  }

  get empty(): boolean {
    return this.length === SEGMENT_HEADER_SIZE;
  }

  get synced(): boolean {
    return this.entrySynced && this.syncedLength === this.length;
  }

  /** True if much of the reserve is used up, and the disk has no space for more. */
  get isShort(): boolean {
    return this.#isFull && this.length + SHORT > this.#reservedEnd;
  }

  /**
   * Creates a segment file with its header. Returns it, or -errno with no file left.
   * @param spare a file to make it of; null: another one
   */
  static create(
    dir: string,
    number: number,
    header: SegmentHeader,
    hash: Hash64,
    spare: SpareSegment | null = null,
  ): Segment | number {
    const file = path.join(dir, segmentName(number));
    if (spare?.moveTo(file) === false) return -ENOSPC;
    const how = spare === null ? O_CREAT | O_EXCL : 0;
    const fd = openFile(AT_FDCWD, file, O_RDWR | how | O_CLOEXEC, 0o600);
    if (fd < 0) return fd;
    // A crash here leaves a segment without a header: recovery takes it as empty and removes it.
    failpoint('segment-created');
    const segment = new Segment(file, number, header, fd, 0);
    const written =
      segment.#setAside(spare === null ? RESERVE_STEP : SPARE_BYTES) ||
      segment.append(encodeHeader(header, hash), SEGMENT_HEADER_SIZE, () => 'frees');
    if (written === 0) return segment;
    segment.close();
    native.unlinkAt(AT_FDCWD, file, 0);
    return written;
  }

  /**
   * Appends the first `length` bytes of `buffer`. Returns 0, or -errno with the segment as before. Throws if the
   * segment cannot be put back as it was.
   * @param need says what the record is for; it is asked only on a full disk
   * @param mayGrow false: takes space only of what is set aside, as on a full disk
   */
  append(buffer: Buffer, length: number, need: () => Need, mayGrow = true): number {
    const opened = this.#open();
    if (opened < 0) return opened;
    const refused = this.#reserve(length, need, mayGrow);
    if (refused < 0) return refused;
    let done = failpointError('journal-append');
    if (done === 0) done = native.pwrite(this.#fd, buffer, 0, length, this.length);
    if (done === length) {
      this.length += length;
      return 0;
    }
    return this.#appendRest(buffer, done, length);
  }

  /** Opens it again if it was closed. Returns 0 or -errno. */
  #open(): number {
    if (this.#fd >= 0) {
      keptDescriptors.touch(this);
      return 0;
    }
    const fd = openFile(AT_FDCWD, this.path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return fd;
    this.#fd = fd;
    keptDescriptors.opened(this, 1);
    return 0;
  }

  /**
   * Closes it until it is used again. What is not on disk is put there first, for which this process waits: with the
   * descriptor it would be lost whether that fails.
   */
  rest(): void {
    if (this.#fd < 0 || this.#syncing > 0) return;
    if (this.syncedLength === this.length || this.syncNow() === 0) this.close();
  }

  /**
   * Makes sure that the reserve is still there after `length` more bytes, or that they may be of it. Returns 0, -ENOSPC or
   * -EDQUOT.
   */
  #reserve(length: number, need: () => Need, mayGrow: boolean): number {
    if (this.length + length + RESERVE <= this.#reservedEnd) return 0;
    // A full disk takes long to say that it is.
    if (this.#isFull && this.#mayUseReserve(length, need())) return 0;
    const failed = mayGrow ? this.#setAside(length + RESERVE_STEP) : -ENOSPC;
    this.#isFull = failed < 0;
    // What frees something may find blocks beyond what was set aside, too.
    return this.#isFull && need() !== 'frees' && !this.#mayUseReserve(length, need()) ? failed : 0;
  }

  #mayUseReserve(length: number, need: Need): boolean {
    const left = this.#reservedEnd - this.length - length;
    return need !== 'adds' && left >= (need === 'moves' ? FOR_REMOVALS : 0);
  }

  /** Sets aside space for so many bytes more. Returns 0, -ENOSPC or -EDQUOT. */
  #setAside(bytes: number): number {
    const end = this.length + bytes;
    // Not what is set aside already: in memory (tmpfs), what fails gives that up.
    const from = Math.max(this.length, this.#reservedEnd);
    const result = native.fallocate(this.#fd, FALLOC_FL_KEEP_SIZE, from, end - from);
    if (isFull(result)) return result;
    // A file system that can't set space aside has no reserve, and need not be asked at each record.
    this.#reservedEnd = end;
    return 0;
  }

  /** After a short write, tries the rest once more, which gives either all bytes or the errno. */
  #appendRest(buffer: Buffer, first: number, length: number): number {
    let done = first;
    let result = first;
    while (result > 0 && done < length) {
      result = native.pwrite(this.#fd, buffer, done, length - done, this.length + done);
      if (result > 0) done += result;
    }
    if (done === length) {
      this.length += length;
      return 0;
    }
    // A crash here leaves a torn record at the end, which recovery cuts off.
    failpoint('journal-torn');
    this.#clear(done);
    return result < 0 ? result : -EIO;
  }

  /**
   * Takes back the first `done` bytes of a record: they become zeros, with which a segment may end. To cut them off would give up the
   * reserve; that is done only where their blocks can't be written again.
   */
  #clear(done: number): void {
    if (done <= 0) return;
    if (native.pwrite(this.#fd, Buffer.alloc(done), 0, done, this.length) === done) return;
    const cut = native.ftruncate(this.#fd, this.length);
    if (cut < 0) throw new Error(`cannot cut ${this.path} back to ${this.length}: errno ${-cut}`);
    this.#reservedEnd = 0;
  }

  /** Does fdatasync on the thread pool. Resolves to 0 or -errno. */
  async sync(): Promise<number> {
    const { length } = this;
    if (this.#failed < 0 || this.syncedLength === length) return this.#failed;
    this.#syncing++;
    const failed = failpointError('journal-sync') || (await native.fsyncAsync(this.#fd, true));
    this.#syncing--;
    if (failed < 0) return failed;
    this.syncedLength = Math.max(this.syncedLength, length);
    return 0;
  }

  /** Does what sync() does, but waits for the disk. */
  syncNow(): number {
    if (this.#failed < 0 || this.syncedLength === this.length) return this.#failed;
    this.#failed = Math.min(0, native.fsync(this.#fd, true));
    if (this.#failed === 0) this.syncedLength = this.length;
    return this.#failed;
  }

  close(): void {
    if (this.#fd < 0) return;
    native.close(this.#fd);
    this.#fd = -1;
    keptDescriptors.closed(this, 1);
  }
}
