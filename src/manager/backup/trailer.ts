/**
 * The end of a backup: sums over what comes before it, so that damage is found, and where. It is a skippable frame of
 * zstd, which any zstd passes over: magic, length, JSON, and, so that it is found from the end, the length of the JSON
 * and a word.
 */
import { createHash } from 'node:crypto';
import { ByrefError } from '../../base/error.ts';

/** Bytes of one sum. */
export const PIECE = 2 ** 20;
const MAGIC = 0x184d2a5b;
const WORD = 'byref-backup';
const HEAD = 8;
const TAIL = 4 + WORD.length;
/** The longest trailer: of a backup of 16 TiB. */
const TRAILER_MAX = 2 ** 30;

/** Sums up a stream, piece by piece. */
export class Sums {
  private readonly sums: string[] = [];
  private hash = createHash('sha256');
  private inPiece = 0;
  private bytes = 0;

  add(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const end = Math.min(chunk.length, at + PIECE - this.inPiece);
      this.hash.update(chunk.subarray(at, end));
      this.inPiece += end - at;
      this.bytes += end - at;
      at = end;
      if (this.inPiece === PIECE) this.next();
    }
  }

  private next(): void {
    this.sums.push(this.hash.digest('hex'));
    this.hash = createHash('sha256');
    this.inPiece = 0;
  }

  /** Returns the trailer of what was added. */
  trailer(): Buffer {
    if (this.inPiece > 0) this.next();
    return trailerOf(this.bytes, this.sums);
  }
}

function trailerOf(bytes: number, sha256: readonly string[]): Buffer {
  const text = Buffer.from(JSON.stringify({ bytes, piece: PIECE, sha256 }), 'latin1');
  const head = Buffer.alloc(HEAD);
  head.writeUInt32LE(MAGIC, 0);
  head.writeUInt32LE(text.length + TAIL, 4);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  return Buffer.concat([head, text, length, Buffer.from(WORD, 'latin1')]);
}

/** Returns the sum of one piece, in hex. */
export const sumOf = (piece: Buffer): string => createHash('sha256').update(piece).digest('hex');

/** What a trailer says. */
export interface Trailer {
  /** How many bytes come before it. */
  readonly bytes: number;
  readonly sha256: readonly string[];
}

/**
 * Reads the trailer at the end of a file.
 * @param size of the file @param read returns bytes of it
 * @throws ByrefError 'badInput' if there is none: the file ends early, or is no backup
 */
export function readTrailer(
  from: string,
  size: number,
  read: (at: number, length: number) => Buffer,
): Trailer {
  const tail = size < HEAD + TAIL ? Buffer.alloc(0) : read(size - TAIL, TAIL);
  if (tail.toString('latin1', 4) !== WORD) throw cutOff(from, size);
  const length = tail.readUInt32LE(0);
  const bytes = size - HEAD - length - TAIL;
  if (length > TRAILER_MAX || bytes < 0) throw cutOff(from, size);
  try {
    const found = JSON.parse(read(bytes + HEAD, length).toString('latin1')) as Partial<Trailer>;
    const { sha256 } = found;
    const isWhole =
      found.bytes === bytes &&
      Array.isArray(sha256) &&
      sha256.length === Math.ceil(bytes / PIECE) &&
      sha256.every((sum) => typeof sum === 'string');
    // Nothing sums up the sums: they are to be as they were written, to the last bit.
    if (isWhole && trailerOf(bytes, sha256).equals(read(bytes, size - bytes)))
      return { bytes, sha256 };
  } catch {
    // As below.
  }
  throw damagedBackup(from, `its last ${size - bytes} bytes, which have the sums`);
}

/** Makes the error of a backup of which a part is not as it was written. */
export const damagedBackup = (from: string, where: string): ByrefError =>
  new ByrefError(
    'corrupt',
    `${from} is damaged: ${where}`,
    'Nothing was made. Copy it again from where it was made, or restore another backup.',
  );

const cutOff = (from: string, size: number): ByrefError =>
  new ByrefError(
    'badInput',
    `${from} ends early, or is no backup of an env: ${size} bytes, without the sums that come last`,
    'Nothing was made. Copy it again from where it was made, or restore another backup.',
  );
