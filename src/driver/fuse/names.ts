import { ENAMETOOLONG } from '../../base/errno.ts';
import { NAME_MAX, type Name } from '../../base/ids.ts';
import { request, u32 } from './buffers.ts';
import { IN, IN_BYTES } from './wire.ts';

/** Text of the request from byte `start` to `end`, one char per byte. */
export const textAt = (start: number, end: number): string => request.latin1Slice(start, end);

/** Where the NUL-terminated text at byte `start` ends. */
export const endOfText = (start: number): number => request.indexOf(0, start);

/**
 * The name that ends the request, after a structure of `structBytes`; -ENAMETOOLONG for more than
 * 255 bytes (the kernel's own limit for FUSE is 1024).
 */
export function lastName(structBytes: number): Name | number {
  return nameAt(IN_BYTES + structBytes, u32(IN.len) - 1);
}

export function nameAt(start: number, end: number): Name | number {
  if (end - start > NAME_MAX) return -ENAMETOOLONG;
  return textAt(start, end) as Name;
}
