import { ENAMETOOLONG } from '../../base/errno.ts';
import { NAME_MAX, type Name } from '../../base/ids.ts';
import { request, u32 } from './buffers.ts';
import { IN, IN_BYTES } from './wire.ts';

/** Returns the request's text from byte `start` to `end`, one char per byte. */
export const textAt = (start: number, end: number): string => request.latin1Slice(start, end);

/** Returns the end of the NUL-terminated text at byte `start`. */
export const endOfText = (start: number): number => request.indexOf(0, start);

/**
 * Returns the name at the end of the request, after a structure of `structBytes`; -ENAMETOOLONG if it has more
 * than 255 bytes (the kernel's own limit for FUSE is 1024).
 */
export function lastName(structBytes: number): Name | number {
  return nameAt(IN_BYTES + structBytes, u32(IN.len) - 1);
}

/** Returns the name from byte `start` to `end`, or -ENAMETOOLONG. */
export function nameAt(start: number, end: number): Name | number {
  if (end - start > NAME_MAX) return -ENAMETOOLONG;
  return textAt(start, end) as Name;
}
