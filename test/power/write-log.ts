/** The log of a disk's writes and flushes, and disks as a loss of power may leave them. */
import fs from 'node:fs';

/** One write. A flush is null. */
export interface Write {
  /** In bytes, on the disk. */
  readonly offset: number;
  readonly bytes: Buffer;
}

const HEAD = 16;
/** Stands for the offset of a flush. */
const FLUSH = 2n ** 63n;
/** A disk writes a block whole, or not at all. */
const BLOCK = 4096;
const PERCENT = 100;

/** A record of the log: the offset, the length, and as many bytes. */
export function recordOf(write: Write | null): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeBigUInt64LE(write === null ? FLUSH : BigInt(write.offset));
  head.writeUInt32LE(write?.bytes.length ?? 0, 8);
  return write === null ? head : Buffer.concat([head, write.bytes]);
}

/** Reads the log up to a place in it, in bytes. */
export function readLog(file: string, end: number): (Write | null)[] {
  const bytes = fs.readFileSync(file).subarray(0, end);
  const records: (Write | null)[] = [];
  for (let at = 0; at + HEAD <= bytes.length; ) {
    const offset = bytes.readBigUInt64LE(at);
    const length = bytes.readUInt32LE(at + 8);
    const data = bytes.subarray(at + HEAD, at + HEAD + length);
    if (data.length < length) break;
    records.push(offset === FLUSH ? null : { offset: Number(offset), bytes: data });
    at += HEAD + length;
  }
  return records;
}

/**
 * Makes a disk as it may be when the power went at the end of these records: all that was written before the last flush is there, and of
 * what came after it, any blocks.
 * @param image what the disk held before the first record; is changed
 * @param random returns numbers from 0 up to and without `below`
 */
export function loseSome(
  image: string,
  records: readonly (Write | null)[],
  random: (below: number) => number,
): void {
  const fd = fs.openSync(image, 'r+');
  const put = ({ offset, bytes }: Write): number =>
    fs.writeSync(fd, bytes, 0, bytes.length, offset);
  const flushed = records.lastIndexOf(null);
  for (const write of records.slice(0, flushed + 1)) if (write !== null) put(write);
  // Some disks keep nearly all of it, others nearly nothing.
  const kept = random(PERCENT + 1);
  const blocks = records.slice(flushed + 1).flatMap((write) => blocksOf(write!));
  for (const block of blocks) if (random(PERCENT) < kept) put(block);
  fs.closeSync(fd);
}

function blocksOf({ offset, bytes }: Write): Write[] {
  const blocks: Write[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Math.min(BLOCK - ((offset + at) % BLOCK), bytes.length - at);
    blocks.push({ offset: offset + at, bytes: bytes.subarray(at, at + length) });
    at += length;
  }
  return blocks;
}
