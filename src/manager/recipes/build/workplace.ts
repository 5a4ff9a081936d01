/** A directory for one build: removed at its end, or, if the build was killed, when the next one begins. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../../base/error.ts';
import { isNoSpace } from '../../../base/no-space.ts';
import { isAlive } from '../../../base/proc.ts';
import { TEMPORARY_DIR } from '../../../base/temporary-dir.ts';

const PREFIX = 'byref-build-';
/** It may hold a whole tree, and an archive of it. */
const OWNER = /^byref-build-(\d+)-/;

/** @throws ByrefError 'noSpace' if it can't be made */
export async function withWorkplace<T>(work: (dir: string) => Promise<T>): Promise<T> {
  sweepWorkplaces();
  const dir = tried(() => mkdtempSync(path.join(TEMPORARY_DIR, `${PREFIX}${process.pid}-`)));
  try {
    return await work(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** A file in the workplace; its path. @throws ByrefError 'noSpace' */
export function workplaceFile(dir: string, name: string, content: string): string {
  const file = path.join(dir, name);
  tried(() => writeFileSync(file, content));
  return file;
}

/** A full disk as a sentence: of these errors not all name the file, and it is not the root's. */
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

/** Removes those whose process is gone. */
export function sweepWorkplaces(): void {
  for (const name of readdirSync(TEMPORARY_DIR)) {
    const pid = Number(OWNER.exec(name)?.[1] ?? 0);
    if (pid > 0 && !isAlive(pid))
      rmSync(path.join(TEMPORARY_DIR, name), { recursive: true, force: true });
  }
}
