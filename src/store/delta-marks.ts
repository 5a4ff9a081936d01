/**
 * Remembers which envs were ever mounted, so that a directory of an env that is missing is told from one that was never
 * made: one empty file in `meta/deltas/` for each. They are not with the envs, which may be on a volume of their own
 * that is not mounted.
 */
import { closeSync, existsSync, mkdirSync, openSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../base/error.ts';
import { isNoSpace } from '../base/no-space.ts';
import { envDir, metaDir } from './root.ts';

/** A driver makes this file in the directory of each env that it serves: driver/delta/layout.ts. */
const LOCK_FILE = 'lock';

const marksDir = (root: string): string => path.join(metaDir(root), 'deltas');
const markOf = (root: string, id: number): string => path.join(marksDir(root), String(id));

/** Notes that an env has a directory, after it was made. */
export function noteDelta(root: string, id: number): void {
  const mark = markOf(root, id);
  if (existsSync(mark)) return;
  try {
    mkdirSync(marksDir(root), { recursive: true, mode: 0o700 });
    closeSync(openSync(mark, 'w', 0o600));
  } catch (error) {
    // On a full disk an env can still be mounted; it is noted the next time.
    if (!isNoSpace(error)) throw error;
  }
}

/** Forgets an env that is destroyed. */
export const forgetDelta = (root: string, id: number): void =>
  rmSync(markOf(root, id), { force: true });

/** Returns what is missing of an env that was mounted before, as a sentence; null if nothing is. */
export function missingDelta(root: string, id: number): string | null {
  const directory = envDir(root, id);
  if (!existsSync(markOf(root, id)) || existsSync(path.join(directory, LOCK_FILE))) return null;
  const how = existsSync(directory) ? 'is empty' : 'is missing';
  return `${directory} ${how}, and the env had changes there`;
}

/** What to do about it. */
export const MISSING_REMEDY =
  'mount the volume that it is on, restore it from a backup, or destroy the env';

/** @throws ByrefError 'corrupt' if the directory of an env that was mounted before is missing */
export function needDelta(root: string, id: number, name: string): void {
  const missing = missingDelta(root, id);
  if (missing === null) return;
  const hint = `${MISSING_REMEDY.charAt(0).toUpperCase()}${MISSING_REMEDY.slice(1)}.`;
  throw new ByrefError('corrupt', `the changes of ${name} are gone: ${missing}`, hint);
}
