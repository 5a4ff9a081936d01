import { createHash } from 'node:crypto';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { ObjectId } from '../../../base/ids.ts';
import { isReg } from '../../../base/mode.ts';
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  native,
  STAT,
  STAT_SLOTS,
} from '../../../native/binding.ts';
import type { ObjectFiles } from '../../../store/objects.ts';

/** The attributes of an object's file; size in bytes, blocks of 512 bytes. */
export interface ObjectStat {
  readonly mode: number;
  readonly uid: number;
  readonly size: number;
  readonly blocks: number;
}

const stat = new Float64Array(STAT_SLOTS);

/** Returns the attributes of the file itself, of whatever type; null if there is none. */
export function statObject(objects: ObjectFiles, id: ObjectId): ObjectStat | null {
  if (native.statAt(AT_FDCWD, objects.path(id), stat, AT_SYMLINK_NOFOLLOW) < 0) return null;
  return {
    mode: stat[STAT.mode]!,
    uid: stat[STAT.uid]!,
    size: stat[STAT.size]!,
    blocks: stat[STAT.blocks]!,
  };
}

/** Returns the size of an object's regular file; -1 if there is none. */
export function objectSize(objects: ObjectFiles, id: ObjectId): number {
  const found = statObject(objects, id);
  return found !== null && isReg(found.mode) ? found.size : -1;
}

const PIECE = 4 * 2 ** 20;
const piece = Buffer.allocUnsafe(PIECE);

/**
 * Returns the SHA-256 of a file's bytes as 64 hex digits.
 * @param onBytes is told how many were read, a few MiB at a time
 * @throws the errors of open and read
 */
export function hashFile(file: string, onBytes: (bytes: number) => void = () => undefined): string {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const hash = createHash('sha256');
    for (;;) {
      const length = readSync(fd, piece, 0, PIECE, null);
      if (length === 0) return hash.digest('hex');
      hash.update(piece.subarray(0, length));
      onBytes(length);
    }
  } finally {
    closeSync(fd);
  }
}

/** Returns true if the object's file has the bytes that its name promises. */
export function hasItsBytes(objects: ObjectFiles, id: ObjectId): boolean {
  try {
    return hashFile(objects.path(id)) === id;
  } catch {
    return false;
  }
}
