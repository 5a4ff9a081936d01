/**
 * The name tag of a private file: an extended attribute that says which file of the env it is, as long as the
 * journal's record of that may not be on disk.
 *
 * A program can get its bytes on disk without asking the driver: msync(2) and RWF_SYNC on a file that the kernel
 * reads and writes by passthrough sync the private file itself. The tag goes to disk with it, so that recovery
 * after a power cut finds the name of bytes that were synced (adopt-tagged.ts). Of a file without a name the tag says that.
 *
 * Version 1, little-endian: u8 version, u8 parts, u32 boot, varint sequence, u16 mode, varint uid, gid, u8 record
 * flags, places; then by `parts` the object, the xattrs, the directories. A place is an inode (varint, doubled,
 * plus 1 for one of the env's own), u8 length, the name.
 */
import { Damaged } from '../../base/damaged.ts';
import {
  type Ino,
  isPrivateIno,
  type Name,
  type ObjectId,
  PRIVATE_INO_BASE,
} from '../../base/ids.ts';
import { OBJECT_BYTES } from '../../codec/inode-record-codec.ts';
import { Cursor, putVarint, VARINT_MAX } from '../../codec/varint.ts';
import { putXattrs, readXattrs } from '../../codec/xattrs.ts';
import type { DirEntryRef } from '../core/ports.ts';

/** The xattr that holds the tag. */
export const TAG_XATTR = 'trusted.byref';
/** The longest tag in bytes. A longer one is not written: an open of the file then waits for the journal instead. */
export const TAG_BYTES_MAX = 2048;
/**
 * The longest value that ext4 keeps inside its usual inode of 256 bytes. A longer one takes a block of the disk,
 * and is removed once the journal is on disk.
 */
export const TAG_BYTES_INLINE = 64;

/** Stands for a tag's sequence number while the change that names the file is not yet made. */
export const NOT_YET = 0;

const VERSION = 1;
const PART_OBJECT = 1;
const PART_XATTRS = 2;
const PART_DIRS = 4;
const PART_NAMELESS = 8;

/** The part of a tag that describes the file itself. */
export interface TaggedFile {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** FLAG_* bits of the file's record. */
  readonly flags: number;
  /** The object it was copied from, as long as bytes that did not reach the disk must be taken from there; else ''. */
  readonly object: ObjectId | '';
  readonly xattrs: ReadonlyMap<string, Buffer> | null;
}

/** A directory that the journal may not have on disk yet. */
export interface TaggedDir extends DirEntryRef {
  readonly ino: Ino;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** The content of a name tag. */
export interface NameTag {
  /** Number of the boot in which it was written: see bootNumber(). */
  readonly boot: number;
  /** The change that it was written for, or NOT_YET. */
  readonly sequence: number;
  readonly file: TaggedFile;
  /** The names that lead to the file; none if only its bytes changed. */
  readonly places: readonly DirEntryRef[];
  /** The directories that lead there and that may be lost, outermost first. */
  readonly dirs: readonly TaggedDir[];
  /** True for a file that never had a name, or lost its last one: nothing is lost with it if no record leads to it. */
  readonly isNameless: boolean;
}

/** Returns a boot id shortened to four bytes, which is enough to tell two boots apart. */
export const bootNumber = (bootId: string): number => Number.parseInt(bootId.slice(0, 8), 16);

/** Writes the tag into `out`. Returns its length in bytes, or 0 if it does not fit into TAG_BYTES_MAX. */
export function encodeTag(tag: NameTag, out: Buffer): number {
  if (bytesMax(tag) > TAG_BYTES_MAX) return 0;
  const { file } = tag;
  out[0] = VERSION;
  out[1] =
    (file.object === '' ? 0 : PART_OBJECT) |
    (file.xattrs === null ? 0 : PART_XATTRS) |
    (tag.isNameless ? PART_NAMELESS : 0) |
    (tag.dirs.length === 0 ? 0 : PART_DIRS);
  let end = putVarint(out, out.writeUInt32LE(tag.boot, 2), tag.sequence);
  end = putOwner(out, end, file);
  out[end++] = file.flags;
  out[end++] = tag.places.length;
  for (const place of tag.places) end = putPlace(out, end, place);
  if (file.object !== '') end += out.write(file.object, end, OBJECT_BYTES, 'hex');
  if (file.xattrs !== null) end = putXattrs(out, end, file.xattrs);
  if (tag.dirs.length === 0) return end;
  out[end++] = tag.dirs.length;
  for (const dir of tag.dirs) {
    end = putPlace(out, putOwner(out, putIno(out, end, dir.ino), dir), dir);
  }
  return end;
}

const PLACE_MAX = VARINT_MAX + 1;
const FIXED_MAX = 6 + 3 * VARINT_MAX + 5 + OBJECT_BYTES;
const DIR_MAX = 3 * VARINT_MAX + 2 + PLACE_MAX;

function bytesMax({ file, places, dirs }: NameTag): number {
  if (places.length > 255 || dirs.length > 255) return Number.POSITIVE_INFINITY;
  let bytes = FIXED_MAX;
  for (const { name } of places) bytes += PLACE_MAX + name.length;
  for (const { name } of dirs) bytes += DIR_MAX + name.length;
  for (const [name, value] of file.xattrs ?? []) {
    bytes += 2 * VARINT_MAX + 3 * name.length + value.length;
  }
  return bytes;
}

function putOwner(
  out: Buffer,
  at: number,
  { mode, uid, gid }: { mode: number; uid: number; gid: number },
): number {
  return putVarint(out, putVarint(out, out.writeUInt16LE(mode, at), uid), gid);
}

const putIno = (out: Buffer, at: number, ino: Ino): number =>
  putVarint(out, at, isPrivateIno(ino) ? (ino - PRIVATE_INO_BASE) * 2 + 1 : ino * 2);

function putPlace(out: Buffer, at: number, { dir, name }: DirEntryRef): number {
  let end = putIno(out, at, dir);
  out[end++] = name.length;
  for (let i = 0; i < name.length; i++) out[end++] = name.charCodeAt(i);
  return end;
}

/** Decodes a tag; null if it is not one that this version knows. */
export function decodeTag(bytes: Buffer): NameTag | null {
  if (bytes.length < 6 || bytes[0] !== VERSION) return null;
  try {
    return read(new Cursor(bytes, 1));
  } catch (error) {
    if (error instanceof Damaged) return null;
    throw error;
  }
}

function read(from: Cursor): NameTag {
  const parts = from.u8();
  const boot = from.u32();
  const sequence = from.varint();
  const owner = readOwner(from);
  const flags = from.u8();
  const places = Array.from({ length: from.u8() }, () => readPlace(from));
  const object = parts & PART_OBJECT ? (from.hex(OBJECT_BYTES) as ObjectId) : '';
  const xattrs = parts & PART_XATTRS ? readXattrs(from) : null;
  const count = parts & PART_DIRS ? from.u8() : 0;
  const dirs = Array.from({ length: count }, () => {
    const ino = readIno(from);
    return { ino, ...readOwner(from), ...readPlace(from) };
  });
  const isNameless = (parts & PART_NAMELESS) !== 0;
  return { boot, sequence, file: { ...owner, flags, object, xattrs }, places, dirs, isNameless };
}

function readOwner(from: Cursor): { mode: number; uid: number; gid: number } {
  const mode = from.u8() | (from.u8() << 8);
  return { mode, uid: from.varint(), gid: from.varint() };
}

function readIno(from: Cursor): Ino {
  const number = from.varint();
  return (number % 2 === 1 ? (number - 1) / 2 + PRIVATE_INO_BASE : number / 2) as Ino;
}

function readPlace(from: Cursor): DirEntryRef {
  const dir = readIno(from);
  return { dir, name: from.latin1(from.u8()) as Name };
}
