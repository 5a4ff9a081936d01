/**
 * InodeRecord <-> bytes, for template rows, an env's link table and its journal. The layout is in
 * docs/internals/FORMAT.md, section "Inode record".
 *
 * Version 1: fields that are nearly always there have a fixed place; numbers that are mostly small are
 * varints (LEB128, up to 2^53-1); the rest is present only where `parts` says so.
 */
import { Damaged } from '../base/damaged.ts';
import type { Ino, Name, ObjectId } from '../base/ids.ts';
import { emptyRecord } from './empty-record.ts';
import type { InodeRecord } from './inode-record.ts';
import { Cursor, putSigned, putVarint, VARINT_MAX } from './varint.ts';
import { putXattrs, readXattrs } from './xattrs.ts';

const RECORD_VERSION = 1;

const PART_RDEV = 1;
const PART_OBJECT = 2;
const PART_TARGET = 4;
const PART_XATTRS = 8;
const PART_PARENT = 16;
const PART_STAMP = 32;
const PART_BASE_CTIME = 64;

/** Bytes of an object's id: a SHA-256. */
export const OBJECT_BYTES = 32;
/** An upper bound for the bytes of all fixed and varint fields together: version to baseCtimeNs, lengths included. */
const FIXED_MAX = 6 + 18 * VARINT_MAX + OBJECT_BYTES + 4 * 4;

/** Returns an upper bound for the bytes that `encodeInode` writes for this record. */
export function inodeBytesMax(record: InodeRecord): number {
  let bytes = FIXED_MAX + record.target.length + record.name.length;
  if (record.xattrs !== null) {
    for (const [name, value] of record.xattrs) {
      bytes += 2 * VARINT_MAX + 4 * name.length + value.length;
    }
  }
  return bytes;
}

/** Writes the record at `at`; returns the end. `buf` must have room for inodeBytesMax(record). */
export function encodeInode(record: InodeRecord, buf: Buffer, at: number): number {
  const parts = partsOf(record);
  buf[at] = RECORD_VERSION;
  buf[at + 1] = parts;
  buf[at + 2] = record.data;
  buf[at + 3] = record.flags;
  let end = buf.writeUInt16LE(record.mode, at + 4);
  end = putVarint(buf, end, record.ino);
  end = putVarint(buf, end, record.uid);
  end = putVarint(buf, end, record.gid);
  end = putVarint(buf, end, record.nlink);
  end = putVarint(buf, end, record.size);
  end = putVarint(buf, end, record.blocks);
  end = putTime(buf, end, record.atime, record.atimeNs);
  end = putTime(buf, end, record.mtime, record.mtimeNs);
  end = putTime(buf, end, record.ctime, record.ctimeNs);
  return parts === 0 ? end : encodeParts(record, parts, buf, end);
}

function partsOf(record: InodeRecord): number {
  return (
    (record.rdev === 0 ? 0 : PART_RDEV) |
    (record.object === '' ? 0 : PART_OBJECT) |
    (record.target === '' ? 0 : PART_TARGET) |
    (record.xattrs === null ? 0 : PART_XATTRS) |
    (record.parent === 0 ? 0 : PART_PARENT) |
    (record.stamp === 0 ? 0 : PART_STAMP) |
    (record.baseCtime === 0 && record.baseCtimeNs === 0 ? 0 : PART_BASE_CTIME)
  );
}

function encodeParts(record: InodeRecord, parts: number, buf: Buffer, at: number): number {
  let end = at;
  if (parts & PART_RDEV) end = putVarint(buf, end, record.rdev);
  if (parts & PART_OBJECT) end += buf.write(record.object, end, OBJECT_BYTES, 'hex');
  if (parts & PART_TARGET) end = putLatin1(buf, end, record.target);
  if (record.xattrs !== null) end = putXattrs(buf, end, record.xattrs);
  if (parts & PART_PARENT) {
    end = putVarint(buf, end, record.parent);
    end = putLatin1(buf, end, record.name);
  }
  if (parts & PART_STAMP) end = putVarint(buf, end, record.stamp);
  if (parts & PART_BASE_CTIME) end = putTime(buf, end, record.baseCtime, record.baseCtimeNs);
  return end;
}

function putTime(buf: Buffer, at: number, seconds: number, ns: number): number {
  return buf.writeUInt32LE(ns, putSigned(buf, at, seconds));
}

function putLatin1(buf: Buffer, at: number, text: string): number {
  const start = putVarint(buf, at, text.length);
  return start + buf.write(text, start, 'latin1');
}

/** Version, parts, data, flags, and u16 mode. */
const FIXED_BYTES = 6;

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Reads the record that lies in `buf` from `at` to `end`. The result shares no memory with `buf`.
 * @throws Damaged when the bytes are not a version-1 record, or do not end at `end`
 */
export function decodeInode(buf: Buffer, at: number, end: number): InodeRecord {
  if (buf[at] !== RECORD_VERSION) {
    throw new Damaged(`inode record of version ${String(buf[at])}: this byref reads version 1`);
  }
  if (at + FIXED_BYTES > end) throw new Damaged('inode record runs past the end');
  const parts = buf[at + 1] ?? 0;
  const data = buf[at + 2] ?? 0;
  const flags = buf[at + 3] ?? 0;
  const mode = buf.readUInt16LE(at + 4);
  const from = new Cursor(buf, at + FIXED_BYTES);
  const record: Writable<InodeRecord> = emptyRecord(from.varint() as Ino);
  record.mode = mode;
  record.data = data;
  record.flags = flags;
  record.uid = from.varint();
  record.gid = from.varint();
  record.nlink = from.varint();
  record.size = from.varint();
  record.blocks = from.varint();
  record.atime = from.signed();
  record.atimeNs = from.u32();
  record.mtime = from.signed();
  record.mtimeNs = from.u32();
  record.ctime = from.signed();
  record.ctimeNs = from.u32();
  if (parts & PART_RDEV) record.rdev = from.varint();
  if (parts & PART_OBJECT) record.object = from.hex(OBJECT_BYTES) as ObjectId;
  if (parts & PART_TARGET) record.target = from.latin1(from.varint());
  if (parts & PART_XATTRS) record.xattrs = readXattrs(from);
  if (parts & PART_PARENT) {
    record.parent = from.varint() as Ino;
    record.name = from.latin1(from.varint()) as Name;
  }
  if (parts & PART_STAMP) record.stamp = from.varint();
  if (parts & PART_BASE_CTIME) {
    record.baseCtime = from.signed();
    record.baseCtimeNs = from.u32();
  }
  if (from.at !== end) throw new Damaged(`inode record ends at ${from.at}, expected ${end}`);
  return record;
}
