/**
 * The sum at the end of a row, of the store and of envs' link tables: the CRC-32 of its key and of all of its value that comes before.
 * So a bit that became another one is told, in a key as well: under another key, a row does not match its sum.
 */
import { crc32 } from 'node:zlib';

/** How many bytes a sum takes. */
export const SUM_SIZE = 4;

/** What is said of a row that does not match its sum. */
export const WRONG_SUM = 'its bytes do not match its sum';

const BYTE = 0xff;
const WORD = 4;
const POLYNOMIAL = 0xedb88320;
/** From about this many bytes on zlib is quicker, which takes 0.1 us to be called (Node 20). */
const LONG = 512;

/** The change of the sum by a byte that is followed by none, by one, two and three others of a word. */
const [STEPS, SECOND, THIRD, FOURTH] = makeSteps();

function makeSteps(): readonly [Int32Array, Int32Array, Int32Array, Int32Array] {
  const first = Int32Array.from({ length: BYTE + 1 }, (_, byte) => {
    let step = byte;
    for (let bit = 0; bit < 8; bit++)
      step = (step & 1) === 0 ? step >>> 1 : (step >>> 1) ^ POLYNOMIAL;
    return step;
  });
  const next = (steps: Int32Array): Int32Array =>
    steps.map((step) => first[step & BYTE]! ^ (step >>> 8));
  const second = next(first);
  const third = next(second);
  return [first, second, third, next(third)];
}

/** Goes on with a sum: over `bytes` up to `end`. */
function goOn(sum: number, bytes: Buffer, end: number): number {
  if (end > LONG) return crc32(end === bytes.length ? bytes : bytes.subarray(0, end), sum);
  let state = ~sum;
  let at = 0;
  for (; at + WORD <= end; at += WORD) {
    state ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    state =
      FOURTH[state & BYTE]! ^
      THIRD[(state >>> 8) & BYTE]! ^
      SECOND[(state >>> 16) & BYTE]! ^
      STEPS[state >>> 24]!;
  }
  for (; at < end; at++) state = STEPS[(state ^ bytes[at]!) & BYTE]! ^ (state >>> 8);
  return ~state >>> 0;
}

const sumOf = (key: Buffer, value: Buffer, end: number): number =>
  goOn(goOn(0, key, key.length), value, end);

/** Puts the sum of a row at the end of its value, which has room for it. */
export function addSum(key: Buffer, value: Buffer): Buffer {
  const end = value.length - SUM_SIZE;
  value.writeUInt32BE(sumOf(key, value, end), end);
  return value;
}

/** Returns true if a row is as it was written. @param value with a version byte or more before its sum */
export function matchesSum(key: Buffer, value: Buffer): boolean {
  const end = value.length - SUM_SIZE;
  return end >= 1 && sumOf(key, value, end) === value.readUInt32BE(end);
}

/** A row, as it was written. */
export interface MendedRow {
  readonly key: Buffer;
  readonly value: Buffer;
}

/**
 * Returns a damaged row as it was written, if a single bit of it became another one: then the sum says which one. Null if more is
 * wrong. One row in about a million of which more is wrong is taken for one in which a single bit is.
 */
export function mendBit(key: Buffer, value: Buffer): MendedRow | null {
  const end = value.length - SUM_SIZE;
  if (end < 1) return null;
  const difference = (sumOf(key, value, end) ^ value.readUInt32BE(end)) >>> 0;
  if (difference === 0) return null;
  const row = Buffer.concat([key, value]);
  const mended = (at: number, bits: number): MendedRow => {
    row[at]! ^= bits;
    return { key: row.subarray(0, key.length), value: row.subarray(key.length) };
  };
  // How each bit of a byte would change the sum: by so much if it is in the last byte that the sum is of, and by one step more in each
  // byte before.
  const changes = Array.from({ length: 8 }, (_, bit) => STEPS[1 << bit]! >>> 0);
  for (let at = key.length + end - 1; at >= 0; at--) {
    const bit = changes.indexOf(difference);
    if (bit >= 0) return mended(at, 1 << bit);
    for (let i = 0; i < 8; i++)
      changes[i] = (STEPS[changes[i]! & BYTE]! ^ (changes[i]! >>> 8)) >>> 0;
  }
  const isOneBit = (difference & (difference - 1)) === 0;
  if (!isOneBit) return null;
  const fromEnd = Math.floor(Math.log2(difference));
  return mended(row.length - 1 - (fromEnd >> 3), 1 << (fromEnd & 7));
}
