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
 * Upgrades the root, if it has an older format. Format 1 lacks `changes` and `patches`; format 2 lacks `accounts`, compositions, and the
 * bases of versions. One transaction fills those that can't start empty. The marker comes last, so that a crash
 * leaves a root of the old format, with which the same can be done again.
 * @throws ByrefError 'locked' while another process writes
 */
export async function upgradeRoot(root: string, patience: Patience = BRIEF): Promise<void> {
  if (rootFormat(root) === FORMAT) return;
  const lock = await takeWriterLock(root, patience);
  try {
    // Another process may have upgraded it while we waited for the lock.
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

/**
 * Writes the marker of this byref's format. It is replaced as a whole or not at all, and is on disk when this
 * returns.
 */
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
