/** Brings a root of an older format to the one that this byref writes. */
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import path from 'node:path';
import { failpoint } from '../base/failpoints.ts';
import { noteChange } from './changed-names.ts';
import { changesInHistories } from './diff-stacks.ts';
import { BRIEF, type Patience } from './patience.ts';
import { FORMAT, MARKER, markerText, metaDir, rootFormat } from './root.ts';
import { openTables } from './tables.ts';
import { takeWriterLock } from './writer-lock.ts';

/** The first format that has the index of changes. */
const CHANGES_FORMAT = 2;

/**
 * Format 1 lacks `changes` and `patches`, format 2 `accounts`, compositions, and what a version is based on. One
 * transaction makes what is not empty of it; the marker comes last, so that a crash leaves a root of the old format in
 * which the same can be done again.
 * @throws ByrefError 'locked' while another process writes
 */
export async function upgradeRoot(root: string, patience: Patience = BRIEF): Promise<void> {
  const lock = await takeWriterLock(root, patience);
  try {
    // Somebody else may have been faster.
    const format = rootFormat(root);
    if (format === FORMAT) return;
    const tables = openTables(metaDir(root), { write: true });
    try {
      tables.transaction(() => {
        if (format >= CHANGES_FORMAT) return;
        for (const change of changesInHistories(tables)) {
          noteChange(tables, change.template, change.version, change);
        }
      });
    } finally {
      await tables.close();
    }
    failpoint('upgrade-committed');
    writeMarker(root);
  } finally {
    lock.release();
  }
}

/** Says that the root is of this byref's format; whole or not at all, and on disk when it returns. */
export function writeMarker(root: string): void {
  const marker = path.join(root, MARKER);
  const fd = openSync(`${marker}.new`, 'w', 0o644);
  writeSync(fd, markerText(FORMAT));
  fsyncSync(fd);
  closeSync(fd);
  renameSync(`${marker}.new`, marker);
  const dir = openSync(root, 'r');
  fsyncSync(dir);
  closeSync(dir);
}
