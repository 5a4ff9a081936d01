/**
 * Provides a directory for one build. It is removed at the end or, if the build is killed, when the next one
 * begins.
 */
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { isNoSpace } from '../../../base/no-space.ts';
import {
  makeTemporaryDir,
  sweepTemporaryDirs,
  TEMPORARY_DIR,
} from '../../../base/temporary-dir.ts';

/**
 * Runs `work` with a new directory, which may hold a whole tree and an archive of it.
 * @throws ByrefError 'noSpace' if it can't be made
 */
export async function withWorkplace<T>(work: (dir: string) => Promise<T>): Promise<T> {
  sweepTemporaryDirs();
  const dir = tried(() => makeTemporaryDir('build'));
  try {
    return await work(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Writes a file in the workplace, and returns its path. @throws ByrefError 'noSpace' */
export function workplaceFile(dir: string, name: string, content: string): string {
  const file = path.join(dir, name);
  tried(() => writeFileSync(file, content));
  return file;
}

/** Reports a full disk in a sentence: not all of these errors name the file, and it is not on the root's disk. */
function tried<T>(write: () => T): T {
  try {
    return write();
  } catch (cause) {
    if (!isNoSpace(cause)) throw cause;
    const hint = `Free some space in ${TEMPORARY_DIR}, then build again.`;
    throw new ByrefError('noSpace', `no space left on the device of ${TEMPORARY_DIR}`, hint, {
      cause,
    });
  }
}
