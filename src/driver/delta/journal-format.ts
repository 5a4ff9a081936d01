/**
 * The journal's bytes (docs/internals/FORMAT.md). All numbers are little-endian. A segment is a header and
 * records; a record is one committed change.
 *
 *   segment header, 64 bytes
 *     0  "byrefjnl"   8 u16 version   10 u16 header length   12 u32 zero
 *    16  u64 first sequence   24 u64 seed   32 u64 lineage   40 boot id, 16 bytes
 *    56  u64 xxh64 of bytes 0..55, seed 0
 *   record, a multiple of 8 bytes
 *     0  u32 magic   4 u32 length of the whole record   8 u64 sequence
 *    16  u32 count of mutations   20 u32 lag: sequence minus what was known to be on disk
 *    24  mutations, zeros up to a multiple of 8
 *    -8  u64 xxh64 of all before, under the segment's seed
 *
 * The seed is random and secret to the env. So no one can craft a name or an xattr whose bytes pass for a record, and
 * a block of a deleted segment that the disk brings back has a wrong checksum.
 */
import type { Hash64 } from './hash.ts';

/** The header of a segment: its first bytes, its version, and its length in bytes. */
export const SEGMENT_MAGIC = Buffer.from('byrefjnl', 'latin1');
export const SEGMENT_VERSION = 1;
export const SEGMENT_HEADER_SIZE = 64;
const HEADER_CHECKSUM_AT = 56;
const BOOT_ID_AT = 40;
const BOOT_ID_SIZE = 16;

/** The layout of a record: lengths are in bytes. */
export const RECORD_MAGIC = 0x314a5242; // "BRJ1"
export const RECORD_HEADER_SIZE = 24;
export const RECORD_CHECKSUM_SIZE = 8;
export const RECORD_ALIGN = 8;
export const RECORD_MIN = RECORD_HEADER_SIZE + RECORD_CHECKSUM_SIZE;
/** The longest record. A change that would need more is refused, so that what recovery reads is bounded. */
export const RECORD_MAX = 256 * 1024 * 1024;
/** The largest lag that a record can hold; a larger one is stored as this. */
export const LAG_MAX = 0xffffffff;

/** Kinds of mutation, with the bytes that follow the kind byte. */
export const SET_NAME = 1; // u64 dir, u64 ino, u16 type, u8 length, name
export const CLEAR_NAME = 2; // u64 dir, u8 length, name
export const SET_INODE = 3; // u32 length, inode record
export const CLEAR_INODE = 4; // u64 ino

const TWO_32 = 2 ** 32;

/** The header at the start of each journal segment. */
export interface SegmentHeader {
  readonly firstSequence: number;
  readonly seed: bigint;
  /** Random, the same in all of one delta: it shows a segment or table that belongs to another env. */
  readonly lineage: bigint;
  /** The boot in which the segment was written, as 32 hex digits. */
  readonly bootId: string;
}

/** Writes a whole number below 2^53 as u64. */
export function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, (value / TWO_32) >>> 0, true);
}

/** Reads a u64 below 2^53 as a number. */
export const getU64 = (view: DataView, at: number): number =>
  view.getUint32(at + 4, true) * TWO_32 + view.getUint32(at, true);

/** Returns a view of just these bytes. */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Encodes a segment's header, with its checksum. */
export function encodeHeader(header: SegmentHeader, hash: Hash64): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_SIZE);
  SEGMENT_MAGIC.copy(bytes);
  bytes.writeUInt16LE(SEGMENT_VERSION, 8);
  bytes.writeUInt16LE(SEGMENT_HEADER_SIZE, 10);
  setU64(viewOf(bytes), 16, header.firstSequence);
  bytes.writeBigUInt64LE(header.seed, 24);
  bytes.writeBigUInt64LE(header.lineage, 32);
  bytes.write(header.bootId, BOOT_ID_AT, BOOT_ID_SIZE, 'hex');
  bytes.writeBigUInt64LE(hash(bytes.subarray(0, HEADER_CHECKSUM_AT), 0n), HEADER_CHECKSUM_AT);
  return bytes;
}

/** Decodes a segment's header; null if its checksum, magic or version is wrong. */
export function decodeHeader(bytes: Buffer, hash: Hash64): SegmentHeader | null {
  if (bytes.length < SEGMENT_HEADER_SIZE) return null;
  if (!bytes.subarray(0, SEGMENT_MAGIC.length).equals(SEGMENT_MAGIC)) return null;
  if (bytes.readUInt16LE(8) !== SEGMENT_VERSION) return null;
  const sum = hash(bytes.subarray(0, HEADER_CHECKSUM_AT), 0n);
  if (sum !== bytes.readBigUInt64LE(HEADER_CHECKSUM_AT)) return null;
  return {
    firstSequence: getU64(viewOf(bytes), 16),
    seed: bytes.readBigUInt64LE(24),
    lineage: bytes.readBigUInt64LE(32),
    bootId: bytes.toString('hex', BOOT_ID_AT, BOOT_ID_AT + BOOT_ID_SIZE),
  };
}
