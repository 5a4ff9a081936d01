/** The rows of an env's changes as lines of JSON, one for each inode and each name: FORMAT-backup.md. */
import { ByrefError } from '../../base/error.ts';
import { NAME_MAX, nameFromText } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { decodeInode, encodeInode, inodeBytesMax } from '../../codec/inode-record-codec.ts';
import type { Ref } from './refs.ts';

/** The env's own file behind an inode. */
export interface PrivateFile {
  /** Its name in the backup's `private/`. */
  readonly name: string;
  readonly size: number;
  readonly atime: number;
  readonly atimeNs: number;
  readonly mtime: number;
  readonly mtimeNs: number;
  /** What it was on the machine that it comes from, so that the next backup knows it again; null: not known. */
  readonly source: {
    readonly ino: number;
    readonly ctime: number;
    readonly ctimeNs: number;
  } | null;
  /** True if its bytes are not in this backup but in one that this one builds on. */
  readonly inBase: boolean;
}

/** An inode that the env made, or of which it has changed something. */
export interface InodeRow {
  readonly kind: 'inode';
  readonly ino: Ref;
  /** Without numbers that only one store knows: its own, its parent's, the stamp of the stack. */
  readonly record: InodeRecord;
  /** Where a directory is; null: it is no directory. The name is text: nameToText(). */
  readonly place: { readonly dir: Ref; readonly name: string } | null;
  /** null: it has no bytes of its own. */
  readonly file: PrivateFile | null;
  /** True if the backup has the object that the record names. */
  readonly hasObject: boolean;
  /** The patch that set it aside; null: it was not set aside. */
  readonly patch: number | null;
}

/** A name that the env gave, or removed. */
export interface NameRow {
  readonly kind: 'name';
  readonly dir: Ref;
  /** As text: nameToText(). */
  readonly name: string;
  /** null: removed. */
  readonly ino: Ref | null;
  /** S_IFMT bits; of a removed name 1 if a patch removed it. */
  readonly type: number;
  readonly patch: number | null;
}

/** Encodes a row as one line, without its end. */
export function encodeRow(row: InodeRow | NameRow): string {
  const ofPatch = row.patch === null ? {} : { s: row.patch };
  if (row.kind === 'name')
    return JSON.stringify({ d: row.dir, n: row.name, i: row.ino, t: row.type, ...ofPatch });
  const { ino, record, place, file, hasObject } = row;
  const bytes = Buffer.alloc(inodeBytesMax(record));
  const r = bytes.toString('base64', 0, encodeInode(record, bytes, 0));
  return JSON.stringify({
    i: ino,
    r,
    ...(place !== null && { p: [place.dir, place.name] }),
    ...(file !== null && fieldsOf(file)),
    ...(hasObject && { o: 1 }),
    ...ofPatch,
  });
}

function fieldsOf(file: PrivateFile): object {
  const { name, size, atime, atimeNs, mtime, mtimeNs, source, inBase } = file;
  return {
    f: [name, size, atime, atimeNs, mtime, mtimeNs],
    ...(source !== null && { w: [source.ino, source.ctime, source.ctimeNs] }),
    ...(inBase && { b: 1 }),
  };
}

/** Decodes a line. @param at its number, from 1, for messages @throws ByrefError 'badInput' */
export function decodeRow(line: string, at: number): InodeRow | NameRow {
  try {
    const row = JSON.parse(line) as Record<string, unknown> | null;
    if (row === null || typeof row !== 'object') throw new RangeError('it is no row');
    return 'd' in row ? nameRow(row) : inodeRow(row);
  } catch (error) {
    throw badRow(at, (error as Error).message);
  }
}

/** Makes the error of a row that can't be restored. */
export const badRow = (at: number, why: string): ByrefError =>
  new ByrefError(
    'badInput',
    `the backup is damaged, or was not made by byref: line ${at} of delta.jsonl: ${why}`,
    'Nothing was made. Restore another backup.',
  );

function nameRow({ d, n, i, t, s = null }: Record<string, unknown>): NameRow {
  const isWhole =
    typeof d === 'string' &&
    typeof n === 'string' &&
    (i === null || typeof i === 'string') &&
    isNumber(t) &&
    (s === null || isNumber(s));
  if (!isWhole || !isName(n)) throw new RangeError('a name is missing');
  return { kind: 'name', dir: d, name: n, ino: i, type: t, patch: s };
}

function inodeRow({
  i,
  r,
  p = null,
  f = null,
  w = null,
  b,
  o,
  s = null,
}: Record<string, unknown>): InodeRow {
  const isWhole = typeof i === 'string' && typeof r === 'string' && (s === null || isNumber(s));
  if (!isWhole) throw new RangeError('an inode is missing');
  const bytes = Buffer.from(r, 'base64');
  const record = decodeInode(bytes, 0, bytes.length);
  return {
    ...{ kind: 'inode', ino: i, record, place: p === null ? null : placeOf(p) },
    ...{ file: f === null ? null : fileOf(f, w, b === 1), hasObject: o === 1, patch: s },
  };
}

function placeOf(value: unknown): { dir: Ref; name: string } {
  const [dir, name] = Array.isArray(value) ? (value as unknown[]) : [];
  if (typeof dir !== 'string' || typeof name !== 'string' || !isName(name))
    throw new RangeError('a place is missing');
  return { dir, name };
}

/** Returns true for the text of a name: nameFromText() gives its bytes. */
function isName(text: string): boolean {
  const bytes = nameFromText(text);
  return bytes.length > 0 && bytes.length <= NAME_MAX && !/[/\0]/.test(bytes);
}

function fileOf(value: unknown, was: unknown, inBase: boolean): PrivateFile {
  const [name, ...numbers] = Array.isArray(value) ? (value as unknown[]) : [];
  const [size, atime, atimeNs, mtime, mtimeNs] = numbers;
  const isWhole =
    typeof name === 'string' &&
    /^[0-9a-f]{1,14}$/.test(name) &&
    isNumber(size) &&
    [atime, mtime].every((each) => Number.isSafeInteger(each)) &&
    isNumber(atimeNs) &&
    isNumber(mtimeNs);
  if (!isWhole) throw new RangeError('a file is missing');
  return {
    ...{ name, size, atime: atime as number, atimeNs, mtime: mtime as number, mtimeNs },
    ...{ source: sourceOf(was), inBase },
  };
}

function sourceOf(value: unknown): PrivateFile['source'] {
  const [ino, ctime, ctimeNs] = Array.isArray(value) ? (value as unknown[]) : [];
  if (!isNumber(ino) || !Number.isSafeInteger(ctime) || !isNumber(ctimeNs)) return null;
  return { ino, ctime: ctime as number, ctimeNs };
}

const isNumber = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;
