/** One 512-byte tar header block: POSIX ustar, GNU, and the v7 that both extend. */
import { ByrefError } from '../../../base/error.ts';

export const BLOCK = 512;

/** The fields as the block has them; names are binary strings. */
export interface TarHeader {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  /** One character: '0' file, '1' hard link, ... as in tar(5). */
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

export const badArchive = (what: string): ByrefError =>
  new ByrefError('badInput', what, 'Make the archive again, or copy it again.');

export const isZeroBlock = (block: Buffer): boolean => block.every((byte) => byte === 0);

/** @throws ByrefError 'badInput' if the block is no tar header */
export function parseHeader(block: Buffer): TarHeader {
  if (numberOf(block, 'checksum') !== checksum(block)) {
    throw badArchive('this is not a tar archive, or it is damaged (header checksum)');
  }
  const name = textOf(block, 'name');
  // GNU archives have other things where POSIX has the prefix.
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

/** Binary string up to the first NUL. */
export function cString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
}

function typeOf(block: Buffer): string {
  const type = fieldOf(block, 'type').toString('latin1');
  return type === '\0' ? '0' : type;
}

/** The sum of all bytes, with the checksum's own counted as spaces. */
function checksum(block: Buffer): number {
  const [at, length] = FIELDS.checksum;
  let sum = length * SPACE;
  for (let i = 0; i < BLOCK; i++) if (i < at || i >= at + length) sum += block[i]!;
  return sum;
}

function numberOf(block: Buffer, field: Field): number {
  return parseNumber(fieldOf(block, field));
}

/** Octal text, or GNU's base 256 for what octal can't hold. */
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
