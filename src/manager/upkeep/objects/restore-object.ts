import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
} from 'node:fs';
import path from 'node:path';
import { failpoint } from '../../../base/failpoints.ts';
import type { ObjectId } from '../../../base/ids.ts';
import { OBJECT_MODE, writeAt } from '../../../store/object-job.ts';
import type { ObjectFiles } from '../../../store/objects.ts';

const PIECE = 4 * 2 ** 20;

/**
 * Puts a copy of a file in the place of a damaged or missing object, in one step, once it is on disk. The file may be changed
 * meanwhile: what was copied is used only if it has the object's SHA-256. The caller keeps objects from being removed.
 * @throws Error if the file has other bytes; the errors of reading and writing
 */
export function restoreObject(objects: ObjectFiles, id: ObjectId, from: string): void {
  const dir = objects.makeUnfinished();
  try {
    const temp = path.join(dir, id);
    if (copyFile(from, temp) !== id) throw new Error(`${from} has other bytes by now`);
    failpoint('object-restored');
    objects.replaceFile(id, temp);
    syncDir(path.dirname(objects.path(id)));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Copies a file, keeps its holes, and puts the copy on disk. Returns the SHA-256 of what was copied. */
function copyFile(from: string, to: string): string {
  const input = openSync(from, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const output = openSync(to, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      const id = copyBytes(input, output);
      fchownSync(output, 0, 0);
      fchmodSync(output, OBJECT_MODE);
      fsyncSync(output);
      return id;
    } finally {
      closeSync(output);
    }
  } finally {
    closeSync(input);
  }
}

function copyBytes(input: number, output: number): string {
  const { size, blocks } = fstatSync(input);
  const isSparse = blocks * 512 < size;
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafe(PIECE);
  for (let at = 0; ; ) {
    const length = readSync(input, piece, 0, PIECE, at);
    if (length === 0) {
      ftruncateSync(output, at);
      return hash.digest('hex');
    }
    const bytes = piece.subarray(0, length);
    hash.update(bytes);
    writeAt(output, bytes, at, isSparse);
    at += length;
  }
}

function syncDir(directory: string): void {
  const fd = openSync(directory, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
