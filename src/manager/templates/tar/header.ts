/** Parses a 512-byte tar header block: POSIX ustar, GNU, and v7, which both extend. */
import { ByrefError } from '../../../base/error.ts';

/** The size of a tar block, in bytes. */
export const BLOCK = 512;

/** The fields of a header as in the block; names are binary strings. */
export interface TarHeader {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  /** One character, as in tar(5): '0' is a file, '1' a hard link, ... */
  readonly type: string;
  readonly linkName: string;
  readonly major: number;
  readonly minor: number;
}

const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  linkName: [157, 100],
  magic: [257, 8],
  major: [329, 8],
  minor: [337, 8],
  prefix: [345, 155],
} as const;
type Field = keyof typeof FIELDS;

const USTAR_MAGIC = 'ustar\u000000';
const SPACE = 0x20;
const BASE_256 = 0x80;
const NEGATIVE = 0x40;

/** Returns the error for a damaged archive. */
export const badArchive = (what: string): ByrefError =>
  new ByrefError('badInput', what, 'Make the archive again, or copy it again.');

/** Returns true for a block of zeros, two of which mark the end of an archive. */
export const isZeroBlock = (block: Buffer): boolean => block.every((byte) => byte === 0);

/** Parses a header block. @throws ByrefError 'badInput' if it is not one */
export function parseHeader(block: Buffer): TarHeader {
  if (numberOf(block, 'checksum') !== checksum(block)) {
    throw badArchive('this is not a tar archive, or it is damaged (header checksum)');
  }
  const name = textOf(block, 'name');
  // Where POSIX has the prefix, GNU archives have other fields.
  const prefix =
    fieldOf(block, 'magic').toString('latin1') === USTAR_MAGIC ? textOf(block, 'prefix') : '';
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    mode: numberOf(block, 'mode'),
    uid: numberOf(block, 'uid'),
    gid: numberOf(block, 'gid'),
    size: numberOf(block, 'size'),
    mtime: numberOf(block, 'mtime'),
    type: typeOf(block),
    linkName: textOf(block, 'linkName'),
    major: numberOf(block, 'major'),
    minor: numberOf(block, 'minor'),
  };
}

function fieldOf(block: Buffer, field: Field): Buffer {
  const [at, length] = FIELDS[field];
  return block.subarray(at, at + length);
}

function textOf(block: Buffer, field: Field): string {
  return cString(fieldOf(block, field));
}

/** Returns the bytes up to the first NUL, as a binary string. */
export function cString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
}

function typeOf(block: Buffer): string {
  const type = fieldOf(block, 'type').toString('latin1');
  return type === '\0' ? '0' : type;
}

/** Returns the sum of all bytes, with those of the checksum itself counted as spaces. */
function checksum(block: Buffer): number {
  const [at, length] = FIELDS.checksum;
  let sum = length * SPACE;
  for (let i = 0; i < BLOCK; i++) if (i < at || i >= at + length) sum += block[i]!;
  return sum;
}

function numberOf(block: Buffer, field: Field): number {
  return parseNumber(fieldOf(block, field));
}

/** Parses octal text, or GNU's base 256 for numbers that do not fit in octal. @throws ByrefError 'badInput' */
export function parseNumber(bytes: Buffer): number {
  if (bytes[0]! & BASE_256) return parseBase256(bytes);
  const text = cString(bytes).trim();
  if (text === '') return 0;
  if (!/^[0-7]+$/.test(text))
    throw badArchive('this is not a tar archive, or it is damaged (number)');
  return Number.parseInt(text, 8);
}

function parseBase256(bytes: Buffer): number {
  const negative = (bytes[0]! & NEGATIVE) !== 0;
  let value = negative ? -(0x7f - (bytes[0]! & 0x7f)) - 1 : bytes[0]! & 0x3f;
  for (const byte of bytes.subarray(1)) value = value * 256 + byte;
  if (!Number.isSafeInteger(value)) throw badArchive('the archive has a number that is too large');
  return value;
}
