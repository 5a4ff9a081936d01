import path from 'node:path';
import { EIO } from '../base/errno.ts';
import { failpoint, failpointError } from '../base/failpoints.ts';
import { O_CLOEXEC, O_CREAT, O_EXCL, O_RDWR } from '../base/mode.ts';
import { AT_FDCWD, native } from '../native/binding.ts';
import type { Hash64 } from './hash.ts';
import { encodeHeader, SEGMENT_HEADER_SIZE, type SegmentHeader } from './journal-format.ts';
import { segmentName } from './layout.ts';

/** One journal file, open for appending. */
export class Segment {
  readonly path: string;
  readonly number: number;
  readonly header: SegmentHeader;
  readonly fd: number;
  /** Bytes that hold the header and whole records. */
  length: number;
  /** Bytes that are known to be on disk. */
  syncedLength = 0;
  /** The file's own directory entry is on disk. */
  entrySynced = false;

  constructor(path: string, number: number, header: SegmentHeader, fd: number, length: number) {
    this.path = path;
    this.number = number;
    this.header = header;
    this.fd = fd;
    this.length = length;
  }

  get synced(): boolean {
    return this.entrySynced && this.syncedLength === this.length;
  }

  /** A new segment file with its header, or -errno with no file left. */
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
    const written = segment.append(encodeHeader(header, hash), SEGMENT_HEADER_SIZE);
    if (written === 0) return segment;
    native.close(fd);
    native.unlinkAt(AT_FDCWD, file, 0);
    return written;
  }

  /**
   * Appends the first `length` bytes of `buffer`: 0, or -errno with the segment as before. Throws if
   * it cannot be put back as it was.
   */
  append(buffer: Buffer, length: number): number {
    let done = failpointError('journal-append');
    if (done === 0) done = native.pwrite(this.fd, buffer, 0, length, this.length);
    if (done === length) {
      this.length += length;
      return 0;
    }
    return this.#appendRest(buffer, done, length);
  }

  /** A short write: the rest is tried once more, which yields either all bytes or the errno. */
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

  /** fdatasync on the thread pool: 0 or -errno. */
  async sync(): Promise<number> {
    const { length } = this;
    const failed = failpointError('journal-sync') || (await native.fsyncAsync(this.fd, true));
    if (failed < 0) return failed;
    this.syncedLength = Math.max(this.syncedLength, length);
    return 0;
  }

  /** The same, waiting for the disk. */
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
