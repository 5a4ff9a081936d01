/** Brings a root of an older format to the one that this byref writes. */
import { ByrefError } from '../base/error.ts';
import { failpoint } from '../base/failpoints.ts';
import { tablesAreInUse } from '../native/table-lock.ts';
import { noteChange } from './changed-names.ts';
import { changesInHistories } from './diff-stacks.ts';
import { FORMAT, rootFormat, WITHOUT_SUMS, writeMarker } from './marker.ts';
import { BRIEF, type Patience } from './patience.ts';
import { metaDir } from './root.ts';
import { openTables, TABLES, type Tables } from './tables.ts';
import { takeWriterLock } from './writer-lock.ts';

/** The first format that has the index of changes. */
const CHANGES_FORMAT = 2;

/**
 * Upgrades the root, if it has an older format. Format 1 lacks `changes` and `patches`; format 2 lacks `accounts`, compositions, and the
 * bases of versions; format 3 the sums of rows. One transaction fills and changes what can't stay as it is. The marker comes last, so
 * that a crash leaves a root of the old format, with which the same can be done again.
 *
 * Drivers of an older byref could not read rows with sums. So a root of format 3 stays one as long as any process has its store open, and
 * on a disk without room for it: this byref reads and writes it as it is.
 * @throws ByrefError 'locked' while another process writes
 */
export async function upgradeRoot(root: string, patience: Patience = BRIEF): Promise<void> {
  if (!isDue(root)) return;
  const lock = await takeWriterLock(root, patience);
  try {
    // Another process may have upgraded it while we waited for the lock.
    if (!isDue(root)) return;
    const format = rootFormat(root);
    const isAlone = !tablesAreInUse(metaDir(root));
    const tables = openTables(metaDir(root), { write: true });
    let hasSums: boolean;
    try {
      if (format < CHANGES_FORMAT) tables.transaction(() => fillChanges(tables));
      hasSums = isAlone && addSums(tables);
    } finally {
      await tables.close();
    }
    failpoint('upgrade-committed');
    writeMarker(root, hasSums ? FORMAT : WITHOUT_SUMS);
  } finally {
    lock.release();
  }
}

function isDue(root: string): boolean {
  const format = rootFormat(root);
  return format < FORMAT && !(format === WITHOUT_SUMS && tablesAreInUse(metaDir(root)));
}

function fillChanges(tables: Tables): void {
  for (const change of changesInHistories(tables))
    noteChange(tables, change.template, change.version, change);
}

/** Gives sums to all rows. Returns false if there is no room for that: it writes the whole store anew. */
function addSums(tables: Tables): boolean {
  try {
    tables.transaction(() => {
      for (const name of TABLES) tables.table(name).addSums();
    });
    return true;
  } catch (error) {
    if (error instanceof ByrefError && error.code === 'noSpace') return false;
    throw error;
  }
}
