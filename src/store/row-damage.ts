/** Checks the rows of a store, or of a copy of it, without LMDB: of one whose pages were checked before. */
import { LmdbSnapshot } from '../base/lmdb-snapshot.ts';
import { isDamagedRow } from './table.ts';
import { TABLES } from './tables.ts';

/** Returns true if any row does not match its sum. @param file an LMDB file that nobody writes to */
export function hasDamagedRow(file: string): boolean {
  const snapshot = LmdbSnapshot.take(file, Infinity);
  if (snapshot === null) throw new Error(`${file} was written to while it was read`);
  for (const name of TABLES)
    for (const { key, value } of snapshot.database(name).range())
      if (isDamagedRow(key, value)) return true;
  return false;
}
