import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

/** A file's bytes; or its size, if it is larger than was allowed; or null: it is no regular file. */
export type Whole = Buffer | number | null;

/**
 * Reads a file whole that somebody else may have made, or be writing: a sparse one of 10 TB, a FIFO that nobody writes to and
 * a symlink to /dev/zero end nothing.
 * @throws the system's error if it can't be read
 */
export function readWhole(file: string, max: number): Whole {
  const fd = openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    return readWholeFd(fd, max);
  } finally {
    closeSync(fd);
  }
}

/** The same from a descriptor, which was opened without blocking, and stays open. */
export function readWholeFd(fd: number, max: number): Whole {
  const stat = fstatSync(fd);
  if (!stat.isFile()) return null;
  if (stat.size > max) return stat.size;
  const bytes = Buffer.alloc(stat.size);
  let length = 0;
  while (length < bytes.length) {
    const read = readSync(fd, bytes, length, bytes.length - length, length);
    if (read === 0) break; // It shrank.
    length += read;
  }
  return bytes.subarray(0, length);
}
