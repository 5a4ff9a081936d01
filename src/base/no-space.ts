import { EDQUOT, ENOSPC } from './errno.ts';

const CODES: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', ENOSPC, EDQUOT]);

/** Returns true for errors of Node, LMDB or a program that mean a full device, or a quota that is used up. */
export function isNoSpace(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  const { code, errno, message, stderr } = cause as NodeJS.ErrnoException & { stderr?: unknown };
  if (CODES.has(code) || CODES.has(Math.abs(errno ?? 0))) return true;
  return /no space left/i.test(`${message}\n${typeof stderr === 'string' ? stderr : ''}`);
}
