import type { Ino } from '../../base/ids.ts';
import { O_RDWR } from '../../base/mode.ts';
import { DATA_OBJECT, FLAG_UNSYNCED, type InodeRecord } from '../../codec/inode-record.ts';
import { native } from '../../native/binding.ts';
import { nextData, type Range } from '../../native/data-ranges.ts';
import { emptyBlobStat } from '../core/blob-stat.ts';
import type { EnvDelta } from './env-delta.ts';

const CHUNK = 1024 * 1024;

/**
 * After a power cut: completes copied-up files whose copy was not known to be on disk.
 *
 * Bytes of such a file that are on disk count: a program may have synced them without our hearing of it. The rest
 * never got there, and shows as holes. For these the object's bytes are right, because whatever makes holes in a
 * copy (truncate, fallocate) first has it synced. A copy of which nothing is on disk is given up for the object.
 * If this is cut short, all of it can be done again.
 */
export function restoreCopies(delta: EnvDelta, copies: Iterable<Ino>): void {
  const given: Ino[] = [];
  for (const ino of copies) {
    const record = delta.inode(ino);
    if (record === null || record.object === '') continue;
    const restored = restore(delta, record);
    if (restored === null) continue;
    delta.begin().setInode(restored);
    if (delta.commit() < 0) return;
    if (restored.data === DATA_OBJECT) given.push(ino);
  }
  for (const ino of given) delta.files.removePrivate(ino);
}

const blobStat = emptyBlobStat();

/** Returns the record after the copy was completed or given up; null if neither can be done now. */
function restore(delta: EnvDelta, record: InodeRecord): InodeRecord | null {
  if (record.object === '') return null;
  const { files } = delta;
  const flags = record.flags & ~FLAG_UNSYNCED;
  const object = files.openObject(record.object);
  if (object < 0) return null;
  const copy = files.openPrivate(record.ino, O_RDWR);
  try {
    const before = copy < 0 ? copy : files.statPrivate(record.ino, blobStat);
    if (before < 0 || nextData(copy, 0, blobStat.size) === null) {
      const size = { size: 0, blocks: 0 };
      if (files.statObject(record.object, size) < 0) return null;
      return { ...record, ...size, data: DATA_OBJECT, flags };
    }
    const { atime, atimeNs, mtime, mtimeNs, ctime, ctimeNs, size } = blobStat;
    if (fill(object, copy, size) < 0) return null;
    native.futimens(copy, atime, atimeNs, mtime, mtimeNs);
    if (native.fsync(copy, false) < 0 || files.statPrivate(record.ino, blobStat) < 0) return null;
    // The writes made here do not count as a change of the env's.
    const moved = ctime !== record.baseCtime || ctimeNs !== record.baseCtimeNs;
    const last = moved && isLater(ctime, ctimeNs, record) ? { ctime, ctimeNs } : {};
    const base = { baseCtime: blobStat.ctime, baseCtimeNs: blobStat.ctimeNs };
    return { ...record, ...last, ...base, flags, object: '' };
  } finally {
    native.close(object);
    if (copy >= 0) native.close(copy);
  }
}

const isLater = (seconds: number, ns: number, { ctime, ctimeNs }: InodeRecord): boolean =>
  seconds !== ctime ? seconds > ctime : ns > ctimeNs;

/** Copies the object's data into the copy's holes. Returns 0 or -errno. */
function fill(object: number, copy: number, copySize: number): number {
  const end = native.lseek(object, 0, 2);
  if (end < 0) return end;
  if (copySize < end) {
    const failed = native.ftruncate(copy, end);
    if (failed < 0) return failed;
  }
  for (let at = 0; at < end; ) {
    const data = nextData(copy, at, end);
    const hole: Range = [at, data === null ? end : data[0]];
    const failed = copyRange(object, copy, hole);
    if (failed < 0) return failed;
    at = data === null ? end : data[1];
  }
  return 0;
}

function copyRange(object: number, copy: number, [begin, end]: Range): number {
  for (let at = begin; ; ) {
    const range = nextData(object, at, end);
    if (range === null) return 0;
    const failed = copyBytes(object, copy, range);
    if (failed < 0) return failed;
    at = range[1];
  }
}

function copyBytes(object: number, copy: number, [begin, end]: Range): number {
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK, end - begin));
  for (let at = begin; at < end; ) {
    const got = native.pread(object, buffer, 0, Math.min(buffer.length, end - at), at);
    if (got <= 0) return got;
    const put = native.pwrite(copy, buffer, 0, got, at);
    if (put < 0) return put;
    at += put;
  }
  return 0;
}
