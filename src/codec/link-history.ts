/**
 * Encodes and decodes the value of a `links` row: what one name was in each version of its template that
 * changed it, newest first. The record "as of version v" is the first entry at or below v.
 */
import { Damaged } from '../base/damaged.ts';
import type { Ino } from '../base/ids.ts';
import { ByteWriter } from './byte-writer.ts';
import type { InodeRecord } from './inode-record.ts';
import { decodeInode, encodeInode, inodeBytesMax } from './inode-record-codec.ts';
import { Cursor } from './varint.ts';

const HISTORY_VERSION = 1;

/** A change of one name by one version; `record` null means that the name is absent from then on (a tombstone). */
export interface LinkChange {
  readonly version: number;
  readonly record: InodeRecord | null;
}

function start(buf: Buffer): Cursor {
  if (buf[0] !== HISTORY_VERSION) {
    throw new Damaged(`link row of version ${String(buf[0])}: this byref reads version 1`);
  }
  return new Cursor(buf, 1);
}

/** Returns the record as of `version`; null where the name did not exist then. */
export function linkAsOf(buf: Buffer, version: number): InodeRecord | null {
  const from = start(buf);
  while (from.at < buf.length) {
    const since = from.varint();
    const length = from.varint();
    const at = from.at;
    from.skip(length);
    if (since <= version) return length === 0 ? null : decodeInode(buf, at, at + length);
  }
  return null;
}

/** Returns all changes of a row, newest first. */
export function decodeHistory(buf: Buffer): LinkChange[] {
  const changes: LinkChange[] = [];
  const from = start(buf);
  while (from.at < buf.length) {
    const version = from.varint();
    const length = from.varint();
    const at = from.at;
    from.skip(length);
    changes.push({ version, record: length === 0 ? null : decodeInode(buf, at, at + length) });
  }
  return changes;
}

/** Returns the versions that changed the name, newest first, without decoding their records. */
export function historyVersions(buf: Buffer): number[] {
  const versions: number[] = [];
  const from = start(buf);
  while (from.at < buf.length) {
    versions.push(from.varint());
    from.skip(from.varint());
  }
  return versions;
}

/** Returns the latest record with this ino, of whichever version; null if the name never was that file. */
export function recordOfIno(buf: Buffer, ino: Ino): InodeRecord | null {
  return decodeHistory(buf).find(({ record }) => record?.ino === ino)?.record ?? null;
}

/** Returns the row with exactly these changes. @param changes newest first */
export function encodeHistory(changes: readonly LinkChange[]): Buffer {
  let row: Buffer | null = null;
  for (const change of changes.toReversed()) row = prependChange(row, change);
  return row ?? Buffer.of(HISTORY_VERSION);
}

/** Returns the row with one more change, which must be newer than all that it has; `before` null starts a row. */
export function prependChange(before: Buffer | null, change: LinkChange): Buffer {
  const to = new ByteWriter().u8(HISTORY_VERSION).varint(change.version);
  if (change.record === null) {
    to.varint(0);
  } else {
    const bytes = Buffer.allocUnsafe(inodeBytesMax(change.record));
    const end = encodeInode(change.record, bytes, 0);
    to.varint(end).bytes(bytes.subarray(0, end));
  }
  if (before !== null) {
    start(before);
    to.bytes(before.subarray(1));
  }
  return to.take();
}
