import { Damaged } from '../../base/damaged.ts';
import type { Ino, Name } from '../../base/ids.ts';
import { decodeInode } from '../../codec/inode-record-codec.ts';
import type { Change } from '../core/ports.ts';
import type { Hash64 } from './hash.ts';
import * as format from './journal-format.ts';
import { PIECE_BYTES, type SegmentFile } from './segment-file.ts';

/** The place of a valid record in a segment's bytes. */
export interface RecordSpan {
  readonly at: number;
  readonly length: number;
  readonly sequence: number;
  /** The last change up to which everything was known to be on disk when this record was written. */
  readonly durable: number;
}

/** Returns the record at `at`, or null if there is none or its checksum is wrong. */
export function recordAt(bytes: Buffer, at: number, seed: bigint, hash: Hash64): RecordSpan | null {
  if (at + format.RECORD_MIN > bytes.length) return null;
  const view = format.viewOf(bytes);
  if (view.getUint32(at, true) !== format.RECORD_MAGIC) return null;
  const length = view.getUint32(at + 4, true);
  if (length < format.RECORD_MIN || length % format.RECORD_ALIGN !== 0) return null;
  const checksumAt = at + length - format.RECORD_CHECKSUM_SIZE;
  if (length > format.RECORD_MAX || at + length > bytes.length) return null;
  if (hash(bytes.subarray(at, checksumAt), seed) !== view.getBigUint64(checksumAt, true)) {
    return null;
  }
  const sequence = format.getU64(view, at + 8);
  return { at, length, sequence, durable: sequence - view.getUint32(at + 20, true) };
}

/**
 * Returns the length that the bytes at `at` say a record has, which may reach past their end; 0 if none can begin there.
 */
export function lengthSaid(bytes: Buffer, at: number): number {
  if (at + format.RECORD_MIN > bytes.length) return 0;
  if (bytes.readUInt32LE(at) !== format.RECORD_MAGIC) return 0;
  const length = bytes.readUInt32LE(at + 4);
  return length <= format.RECORD_MAX ? length : 0;
}

/** Returns the first valid record at or after `from`, at any aligned place; or null. */
export function findRecord(
  file: SegmentFile,
  from: number,
  seed: bigint,
  hash: Hash64,
): RecordSpan | null {
  const start = Math.ceil(from / format.RECORD_ALIGN) * format.RECORD_ALIGN;
  for (let base = start; base < file.size; base += PIECE_BYTES) {
    const bytes = file.read(base, PIECE_BYTES + format.RECORD_MIN);
    for (let at = 0; at < PIECE_BYTES; at += format.RECORD_ALIGN) {
      const length = lengthSaid(bytes, at);
      if (length === 0) continue;
      const whole = at + length <= bytes.length ? bytes.subarray(at) : file.read(base + at, length);
      const found = recordAt(whole, 0, seed, hash);
      if (found !== null) return { ...found, at: base + at };
    }
  }
  return null;
}

/** Gives a record's mutations to `sink`, in order. @throws Damaged if they make no sense. */
export function replayRecord(bytes: Buffer, span: RecordSpan, sink: Change): void {
  const view = format.viewOf(bytes);
  const end = span.at + span.length - format.RECORD_CHECKSUM_SIZE;
  let at = span.at + format.RECORD_HEADER_SIZE;
  for (let left = view.getUint32(span.at + 16, true); left > 0; left--) {
    at = replayMutation(bytes, view, at, end, sink);
    if (at > end) throw new Damaged('a mutation reaches past its journal record');
  }
}

function replayMutation(
  bytes: Buffer,
  view: DataView,
  start: number,
  end: number,
  sink: Change,
): number {
  const at = start + 1;
  switch (view.getUint8(start)) {
    case format.SET_NAME: {
      const [name, next] = nameAt(bytes, at + 18);
      const dir = format.getU64(view, at) as Ino;
      sink.setName(dir, name, format.getU64(view, at + 8) as Ino, view.getUint16(at + 16, true));
      return next;
    }
    case format.CLEAR_NAME: {
      const [name, next] = nameAt(bytes, at + 8);
      sink.clearName(format.getU64(view, at) as Ino, name);
      return next;
    }
    case format.SET_INODE: {
      const next = at + 4 + view.getUint32(at, true);
      if (next > end) throw new Damaged('an inode record reaches past its journal record');
      sink.setInode(decodeInode(bytes, at + 4, next));
      return next;
    }
    case format.CLEAR_INODE:
      sink.clearInode(format.getU64(view, at) as Ino);
      return at + 8;
    default:
      throw new Damaged(`unknown mutation ${view.getUint8(start)} in a journal record`);
  }
}

function nameAt(bytes: Buffer, at: number): [Name, number] {
  const next = at + 1 + bytes.readUInt8(at);
  return [bytes.toString('latin1', at + 1, next) as Name, next];
}
