import { ENXIO } from '../base/errno.ts';
import { native } from './binding.ts';

/** A range of a file in bytes, from the first offset up to but not including the second. */
export type Range = readonly [begin: number, end: number];

const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/**
 * Returns the next range of an open file that is not a hole, at or after `at` and below `end`; null if there is
 * none. Moves the descriptor's position. On a file system that can't tell, the whole file counts as data.
 */
export function nextData(fd: number, at: number, end: number): Range | null {
  const found = findData(fd, at, end);
  return typeof found === 'number' ? [at, end] : found;
}

/** Returns what nextData() does, but -errno on a file system that can't tell. */
export function findData(fd: number, at: number, end: number): Range | null | number {
  if (at >= end) return null;
  const begin = native.lseek(fd, at, SEEK_DATA);
  if (begin === -ENXIO || begin >= end) return null;
  if (begin < 0) return begin;
  const hole = native.lseek(fd, begin, SEEK_HOLE);
  return hole < 0 ? hole : [begin, Math.min(hole, end)];
}

/** Yields all ranges of the first `size` bytes that are not holes, in order. */
export function* dataRanges(fd: number, size: number): Generator<Range> {
  for (let range = nextData(fd, 0, size); range !== null; range = nextData(fd, range[1], size)) {
    yield range;
  }
}
