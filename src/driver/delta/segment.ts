import path from 'node:path';
import { EDQUOT, EIO, ENOSPC } from '../../base/errno.ts';
import { failpoint, failpointError } from '../../base/failpoints.ts';
import { O_CLOEXEC, O_CREAT, O_EXCL, O_RDWR } from '../../base/mode.ts';
import { AT_FDCWD, native } from '../../native/binding.ts';
import type { Hash64 } from './hash.ts';
import { encodeHeader, SEGMENT_HEADER_SIZE, type SegmentHeader } from './journal-format.ts';
import { segmentName } from './layout.ts';

/**
 * Space held beyond the last record, so that on a full disk names can still be removed: a removal needs a record
 * before it frees anything.
 */
const RESERVE = 32 * 1024;
const RESERVE_STEP = 128 * 1024;
const FALLOC_FL_KEEP_SIZE = 1;

/** One journal file, open for appending. */
export class Segment {
  readonly path: string;
  readonly number: number;
  readonly header: SegmentHeader;
  readonly fd: number;
  /** The number of bytes that hold the header and whole records. */
  length: number;
  /** The offset up to which the file system has set space aside. */
  #reservedEnd = 0;
  /** The number of bytes that are known to be on disk. */
  syncedLength = 0;
  /** True if the file's own directory entry is on disk. */
  entrySynced = false;

  constructor(path: string, number: number, header: SegmentHeader, fd: number, length: number) {
    this.path = path;
    this.number = number;
    this.header = header;
    this.fd = fd;
    this.length = length;
  }

  get empty(): boolean {
    return this.length === SEGMENT_HEADER_SIZE;
  }

  get synced(): boolean {
    return this.entrySynced && this.syncedLength === this.length;
  }

  /** Creates a segment file with its header. Returns it, or -errno with no file left. */
  static create(
    dir: string,
    number: number,
    header: SegmentHeader,
    hash: Hash64,
  ): Segment | number {
    const file = path.join(dir, segmentName(number));
    const fd = native.openAt(AT_FDCWD, file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600);
    if (fd < 0) return fd;
    // A crash here leaves a segment without a header: recovery takes it as empty and removes it.
    failpoint('segment-created');
    const segment = new Segment(file, number, header, fd, 0);
    const written = segment.append(encodeHeader(header, hash), SEGMENT_HEADER_SIZE, false);
    if (written === 0) return segment;
    native.close(fd);
    native.unlinkAt(AT_FDCWD, file, 0);
    return written;
  }

  /**
   * Appends the first `length` bytes of `buffer`. Returns 0, or -errno with the segment as before. Throws if the
   * segment cannot be put back as it was.
   * @param frees the record may use the reserve
   */
  append(buffer: Buffer, length: number, frees: boolean): number {
    const reserved = this.#reserve(length);
    if (reserved < 0 && !frees) return reserved;
    let done = failpointError('journal-append');
    if (done === 0) done = native.pwrite(this.fd, buffer, 0, length, this.length);
    if (done === length) {
      this.length += length;
      return 0;
    }
    return this.#appendRest(buffer, done, length);
  }

  /** Makes sure that the reserve is still there after `length` more bytes. Returns 0, -ENOSPC or -EDQUOT. */
  #reserve(length: number): number {
    if (this.length + length + RESERVE <= this.#reservedEnd) return 0;
    const size = length + RESERVE_STEP;
    const result = native.fallocate(this.fd, FALLOC_FL_KEEP_SIZE, this.length, size);
    if (result === -ENOSPC || result === -EDQUOT) return result;
    // A file system that can't set space aside has no reserve, and need not be asked at each record.
    this.#reservedEnd = this.length + size;
    return 0;
  }

  /** After a short write, tries the rest once more, which gives either all bytes or the errno. */
  #appendRest(buffer: Buffer, first: number, length: number): number {
    let done = first;
    let result = first;
    while (result > 0 && done < length) {
      result = native.pwrite(this.fd, buffer, done, length - done, this.length + done);
      if (result > 0) done += result;
    }
    if (done === length) {
      this.length += length;
      return 0;
    }
    // A crash here leaves a torn record at the end, which recovery cuts off.
    failpoint('journal-torn');
    const cut = native.ftruncate(this.fd, this.length);
    if (cut < 0) throw new Error(`cannot cut ${this.path} back to ${this.length}: errno ${-cut}`);
    return result < 0 ? result : -EIO;
  }

  /** Does fdatasync on the thread pool. Resolves to 0 or -errno. */
  async sync(): Promise<number> {
    const { length } = this;
    const failed = failpointError('journal-sync') || (await native.fsyncAsync(this.fd, true));
    if (failed < 0) return failed;
    this.syncedLength = Math.max(this.syncedLength, length);
    return 0;
  }

  /** Does what sync() does, but waits for the disk. */
  syncNow(): number {
    const failed = native.fsync(this.fd, true);
    if (failed < 0) return failed;
    this.syncedLength = this.length;
    return 0;
  }

  close(): void {
    native.close(this.fd);
  }
}
