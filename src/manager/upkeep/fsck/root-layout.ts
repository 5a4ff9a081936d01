/** Checks the root itself: its marker, its directories, and whether its tables can be opened at all. */
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { tableDamage } from '../../../base/lmdb-check.ts';
import { MARKER, rootFormat, WITHOUT_SUMS, writeMarker } from '../../../store/marker.ts';
import { metaDir, SUBDIRECTORIES } from '../../../store/root.ts';
import { openTables, TABLES, type TableName } from '../../../store/tables.ts';
import { BY_REPAIR, damage, type Found, FROM_BACKUP } from './finding.ts';
import { tableOf } from './rows.ts';

/** The format with which a table came, for tables that format 1 lacks. */
const SINCE: Readonly<Partial<Record<TableName, number>>> = {
  changes: 2,
  patches: 2,
  patchEnvs: 2,
  accounts: 3,
  // Made by the first writer that knows it: without it, nothing is set for any env.
  settings: Infinity,
  // The same: without a row, the identity is computed.
  identities: Infinity,
};
const OPEN_TO_OTHERS = 0o077;

/** The outcome of a first look at the root. */
export interface RootFacts {
  readonly format: number;
  /** False if the tables are so damaged that LMDB must not open them. */
  readonly readable: boolean;
  readonly found: Found[];
}

/**
 * Examines a root before its tables are opened.
 * @throws ByrefError 'notFound' if it is not a byref root, 'corrupt' if a newer byref made it
 */
export function checkRoot(root: string): RootFacts {
  const found: Found[] = [];
  const format = checkMarker(root, found);
  for (const [name, mode] of Object.entries(SUBDIRECTORIES)) {
    // A mnt/ that an older byref left open is closed by the next process that opens the root for writing.
    const forAll = name === 'mnt' ? OPEN_TO_OTHERS : 0;
    const finding = checkDirectory(path.join(root, name), mode, forAll);
    if (finding !== null) found.push(finding);
  }
  const why = tableDamage(metaDir(root), true);
  if (why !== null) {
    const where = path.join(metaDir(root), 'data.mdb');
    found.push(damage('root.pages', where, `it can't be read: ${why}`, FROM_BACKUP));
  }
  return { format, readable: why === null, found };
}

function checkMarker(root: string, found: Found[]): number {
  const marker = path.join(root, MARKER);
  const text = existsSync(marker) ? readFileSync(marker, 'utf8') : null;
  // A newer byref's marker is valid, too: it is refused elsewhere.
  const isMarker = text !== null && /^byref root, format \d+\n$/.test(text);
  if (isMarker || !existsSync(path.join(metaDir(root), 'data.mdb'))) return rootFormat(root);
  const what = text === null ? 'it is missing' : `it says "${text.slice(0, 40).trim()}"`;
  // Whoever opens it next sees to it that all rows have sums.
  const repair = { files: () => writeMarker(root, WITHOUT_SUMS) };
  found.push(damage('root.marker', marker, what, BY_REPAIR, repair));
  return WITHOUT_SUMS;
}

/** Checks a directory. @param forAll permissions that are tolerated */
function checkDirectory(directory: string, mode: number, forAll: number): Found | null {
  const stat = lstatSync(directory, { throwIfNoEntry: false });
  if (stat === undefined) {
    // Without meta/ there is no root to repair.
    const files = () => mkdirSync(directory, { mode });
    return damage('root.layout', directory, 'it is missing', BY_REPAIR, { files });
  }
  if (!stat.isDirectory()) {
    const remedy = 'move it out of the way, then run byref fsck --repair';
    return damage('root.layout', directory, 'it is no directory', remedy);
  }
  if ((stat.mode & OPEN_TO_OTHERS & ~forAll) === 0) return null;
  const what = `its mode is ${(stat.mode & 0o7777).toString(8)}: others than root can look inside`;
  const files = () => chmodSync(directory, mode);
  return damage('root.layout', directory, what, BY_REPAIR, { files });
}

/** Finds tables that a root of this format should have, without creating any. */
export async function missingTables(root: string, format: number): Promise<Found[]> {
  const tables = openTables(metaDir(root), { write: false });
  try {
    return TABLES.filter((name) => format >= (SINCE[name] ?? 1))
      .filter((name) => tableOf(tables, name) === null)
      .map((name) =>
        // Opening the tables for writing creates them; other checks report missing rows.
        damage('root.tables', `table ${name}`, 'it is missing', BY_REPAIR, { rows: () => {} }),
      );
  } finally {
    await tables.close();
  }
}
