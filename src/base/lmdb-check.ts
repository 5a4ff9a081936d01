/**
 * Checks LMDB files before they are opened, at no cost where nobody has written to them since they were checked.
 *
 * Beside a file, `checked` says as what it was seen when all of its pages were right: by a walk over them, or after a
 * commit of a process that had checked it before. A process that is killed within a commit leaves a file that looks
 * different, and so does anyone else who writes to it. In another boot nothing that was noted counts.
 */
import { type BigIntStats, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { bootId } from './boot-id.ts';
import { pageDamage } from './lmdb-pages.ts';

/** The file that says as what the tables beside it were last seen. */
export const CHECKED = 'checked';
const ATTEMPTS = 10;
/** Errors that say something of the file, and not of this process. */
const OF_FILE: ReadonlySet<string> = new Set(['ENOENT', 'EIO', 'EISDIR', 'ENOTDIR']);

/**
 * Returns why the tables in this directory must not be opened with LMDB, or null. Walks over all pages, unless they are
 * as they were last seen. @param always walk in any case
 */
export function tableDamage(dir: string, always = false): string | null {
  const file = path.join(dir, 'data.mdb');
  try {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const seen = lookOf(statSync(file, { bigint: true }));
      if (!always && seen === lastLook(dir)) return null;
      const found = pageDamage(file);
      if (seen !== lookOf(statSync(file, { bigint: true }))) continue;
      if (found === null) note(dir, seen);
      return found;
    }
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (OF_FILE.has(code)) return message;
    throw error;
  }
  // It was written to at each attempt: by a process that has opened it, and so has checked it.
  return null;
}

/** Notes, after a commit of this process, that the tables in this directory are as they should be. */
export function noteCommit(dir: string): void {
  try {
    note(dir, lookOf(statSync(path.join(dir, 'data.mdb'), { bigint: true })));
  } catch {
    // The tables were removed meanwhile.
  }
}

/** Returns what changes whenever somebody writes to the file. */
const lookOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  `${bootId()} ${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}\n`;

function lastLook(dir: string): string | null {
  try {
    return readFileSync(path.join(dir, CHECKED), 'latin1');
  } catch {
    return null;
  }
}

/** Without the note, which a full disk prevents, the pages are walked over again. */
function note(dir: string, look: string): void {
  try {
    writeFileSync(path.join(dir, CHECKED), look, { mode: 0o600 });
  } catch {
    // As above.
  }
}
