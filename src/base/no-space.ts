import { statfsSync } from 'node:fs';
import { EDQUOT, EIO, ENOSPC } from './errno.ts';

const CODES: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', ENOSPC, EDQUOT]);

/** Returns true for errors of Node, LMDB or a program that mean a full device, or a quota that is used up. */
export function isNoSpace(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  const { code, errno, message, stderr } = cause as NodeJS.ErrnoException & { stderr?: unknown };
  if (CODES.has(code) || CODES.has(Math.abs(errno ?? 0))) return true;
  return /no space left/i.test(`${message}\n${typeof stderr === 'string' ? stderr : ''}`);
}

/** Makes the error of a device that was found to be full before anything was written. */
export const noSpaceError = (): Error =>
  Object.assign(new Error('no space left on the device'), { code: 'ENOSPC' });

/** A device with fewer free bytes has ended a write before its end. */
const FULL_BYTES = 2 ** 20;

/**
 * Returns true if tables of LMDB in this directory could not be written for want of space: LMDB reports ENOSPC or, if part of a write
 * still fitted, EIO.
 */
export function isNoSpaceFor(dir: string, cause: unknown): boolean {
  if (isNoSpace(cause)) return true;
  if ((cause as { code?: unknown }).code !== EIO) return false;
  const { bavail, bsize } = statfsSync(dir);
  return bavail * bsize < FULL_BYTES;
}
