import { mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Damaged } from '../../base/damaged.ts';
import { failpoint } from '../../base/failpoints.ts';
import { tableDamage } from '../../base/lmdb-check.ts';
import { noSpaceError } from '../../base/no-space.ts';
import { removeTableLock } from '../../native/table-lock.ts';
import { LINK_DIR, NEW_LINK_DIR } from './layout.ts';
import { LinkTable, setAside } from './link-table.ts';
import { syncDir } from './sync-dir.ts';

/** Enough for an empty table and the first rows. */
const NEW_TABLE_BYTES = 96 * 1024;

/** Opens an env's link table with LMDB, and creates it if there is none. @throws Damaged, and nothing was opened */
export async function openOrCreateTable(envDir: string): Promise<LinkTable> {
  const dir = path.join(envDir, LINK_DIR);
  if (!LinkTable.exists(dir)) return createTable(envDir);
  const damage = tableDamage(dir);
  if (damage !== null) throw new Damaged(`${dir}: ${damage}`);
  return LinkTable.open(dir);
}

/**
 * Creates an env's empty link table. It has another name until it is whole, because half a table cannot be told
 * from a damaged one; and its name is on disk before a journal segment is dropped in its favour. Throws an Error,
 * and then leaves nothing behind.
 */
async function createTable(envDir: string): Promise<LinkTable> {
  const temporary = path.join(envDir, NEW_LINK_DIR);
  const dir = path.join(envDir, LINK_DIR);
  removeTable(temporary);
  try {
    mkdirSync(temporary, { mode: 0o700 });
    // LMDB must not find the disk full: see LinkTable.hasSpaceFor(). It takes an empty file for none.
    if (!setAside(path.join(temporary, 'data.mdb'), NEW_TABLE_BYTES)) throw noSpaceError();
    // A crash from here to the rename leaves `link.new`, which the next attempt removes.
    await LinkTable.open(temporary).close();
    failpoint('table-created');
    await mustSync(temporary);
    renameSync(temporary, dir);
  } catch (error) {
    removeTable(temporary);
    throw error;
  }
  failpoint('table-renamed');
  await mustSync(envDir);
  return LinkTable.open(dir);
}

function removeTable(dir: string): void {
  removeTableLock(dir);
  rmSync(dir, { recursive: true, force: true });
}

async function mustSync(dir: string): Promise<void> {
  const failed = await syncDir(dir);
  if (failed < 0) throw new Error(`cannot sync ${dir}: errno ${-failed}`);
}
