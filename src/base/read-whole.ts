import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

/** A file's bytes; or its size, if it is larger than allowed; or null, if it is not a regular file. */
export type Whole = Buffer | number | null;

/**
 * Reads a whole file that somebody else may have made or be writing. A sparse file of 10 TB, a FIFO without a
 * writer, or a symlink to /dev/zero does no harm.
 * @param max bytes
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

/** Reads a whole file from a descriptor, which was opened without blocking and stays open. @param max bytes */
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
