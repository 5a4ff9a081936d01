import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
} from 'node:fs';
import path from 'node:path';
import type { Hash64 } from './hash.ts';
import { decodeHeader, SEGMENT_HEADER_SIZE, type SegmentHeader } from './journal-format.ts';
import { segmentName, segmentNumber } from './layout.ts';

/** The bytes of a segment that are in memory at once. */
export const PIECE_BYTES = 4 * 2 ** 20;

/** A journal segment's file, for reading piece by piece: a large one is never in memory as a whole. */
export class SegmentFile {
  readonly path: string;
  readonly number: number;
  /** The number of bytes that the file had when it was opened. */
  readonly size: number;
  /** Its header; null if that does not check. */
  readonly header: SegmentHeader | null;
  readonly #fd: number;

  /** @throws the system's error: ENOENT if a checkpoint has removed it */
  constructor(file: string, hash: Hash64) {
    this.path = file;
    this.number = segmentNumber(path.basename(file));
    this.#fd = openSync(file, 'r');
    this.size = fstatSync(this.#fd).size;
    this.header = decodeHeader(this.read(0, SEGMENT_HEADER_SIZE), hash);
  }

  /** Returns `length` bytes from this offset on, or those that there are up to the file's end. */
  read(at: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, this.size - at)));
    let done = 0;
    while (done < bytes.length) {
      const got = readSync(this.#fd, bytes, done, bytes.length - done, at + done);
      if (got === 0) break; // It was cut off meanwhile.
      done += got;
    }
    return bytes.subarray(0, done);
  }

  /** Returns true if nothing follows there, or only zeros: see Segment. */
  endsAt(at: number): boolean {
    for (let from = at; from < this.size; from += PIECE_BYTES) {
      if (this.read(from, PIECE_BYTES).some((byte) => byte !== 0)) return false;
    }
    return true;
  }

  /** Puts it on disk, and waits for that. */
  sync(): void {
    fsyncSync(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Returns the paths of the segments in an env's directory, oldest first. */
export const segmentsIn = (envDir: string): string[] =>
  readdirSync(envDir)
    .map(segmentNumber)
    .filter((number) => number >= 0)
    .sort((a, b) => a - b)
    .map((number) => path.join(envDir, segmentName(number)));

/** Returns the number of bytes that an env's journal has, also while a checkpoint removes segments. */
export function journalBytes(envDir: string): number {
  const sizes = segmentsIn(envDir).map((file) => statSync(file, { throwIfNoEntry: false })?.size);
  return sizes.reduce<number>((sum, size = 0) => sum + size, 0);
}
