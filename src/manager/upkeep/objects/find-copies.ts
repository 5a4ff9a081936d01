/** Finds the bytes of damaged objects in the files of envs: a copy that was made for a write, or that a program made. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { ObjectId } from '../../../base/ids.ts';
import { isReg } from '../../../base/mode.ts';
import { PRIVATE_DIR } from '../../../driver/delta/layout.ts';
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  native,
  STAT,
  STAT_SLOTS,
} from '../../../native/binding.ts';
import { hashFile } from './object-file.ts';

/** A file of an env that has the bytes of an object. */
export interface ObjectCopy {
  /** The env's number. */
  readonly env: number;
  readonly file: string;
}

const stat = new Float64Array(STAT_SLOTS);

/**
 * Looks for copies of objects. It costs a stat for each private file of the root's envs, and reads those of the right size: to
 * be called only if an object is damaged.
 * @param wanted sizes of the objects
 * @returns a copy of each object that has one, whose bytes had the right hash just now
 */
export function findCopies(
  root: string,
  wanted: ReadonlyMap<ObjectId, number>,
): Map<ObjectId, ObjectCopy> {
  const found = new Map<ObjectId, ObjectCopy>();
  const sizes = new Set(wanted.values());
  for (const copy of privateFiles(root)) {
    if (found.size === wanted.size) break;
    if (native.statAt(AT_FDCWD, copy.file, stat, AT_SYMLINK_NOFOLLOW) < 0) continue;
    if (!isReg(stat[STAT.mode]!) || !sizes.has(stat[STAT.size]!)) continue;
    const id = hashOf(copy.file);
    if (id !== null && wanted.has(id)) found.set(id, copy);
  }
  return found;
}

function* privateFiles(root: string): Generator<ObjectCopy> {
  const envs = path.join(root, 'envs');
  for (const name of list(envs)) {
    if (!/^[1-9]\d*$/.test(name)) continue;
    const directory = path.join(envs, name, PRIVATE_DIR);
    for (const file of list(directory)) {
      yield { env: Number(name), file: path.join(directory, file) };
    }
  }
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function hashOf(file: string): ObjectId | null {
  try {
    return hashFile(file) as ObjectId;
  } catch {
    // It was removed just now, or can't be read either.
    return null;
  }
}
