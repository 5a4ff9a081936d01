import { Damaged } from '../../../base/damaged.ts';
import { rowPlace } from '../../../store/row-place.ts';
import type { UncheckedRow } from '../../../store/table.ts';
import { TABLES, type TableName } from '../../../store/tables.ts';
import { isCounter } from './counters.ts';
import { BY_REPAIR, damage, type Found, REMOVED_BY_REPAIR, restoring } from './finding.ts';
import type { Job } from './job.ts';
import { tableOf } from './rows.ts';

/**
 * Checks that rows match their sums. A row of which a single bit is wrong is put right, since its sum says which one. Of other damaged
 * rows, those are named here that no other check reads.
 */
export function* checkRowSums(job: Job): Generator<Found> {
  for (const name of TABLES) {
    const table = tableOf(job.tables, name);
    for (const row of table?.getUnchecked() ?? []) {
      const why = damageOf(row);
      if (why !== null) yield* damagedRow(job, name, row, why);
    }
  }
}

function damageOf({ read }: UncheckedRow): string | null {
  try {
    read();
    return null;
  } catch (error) {
    if (error instanceof Damaged) return error.reason;
    throw error;
  }
}

function* damagedRow(job: Job, name: TableName, row: UncheckedRow, why: string): Generator<Found> {
  const table = job.tables.table(name);
  const mended = row.mended();
  const isKeyWrong = mended !== null && !mended.key.equals(row.key);
  const isTaken = isKeyWrong && table.findUnchecked(mended.key) !== null;
  if (mended !== null && !isTaken) {
    const rows = (): void => {
      if (isKeyWrong) table.removeSync(row.key);
      table.putSync(mended.key, mended.value);
    };
    const what = `a single bit of its row in table ${name} is wrong`;
    yield damage('root.rows', rowPlace(job.tables, name, mended.key), what, BY_REPAIR, { rows });
    return;
  }
  const where = rowPlace(job.tables, name, row.key);
  const what = `its row in table ${name} can't be read (${why})`;
  // Without a row, an identity is computed.
  const rows = (): void => void table.removeSync(row.key);
  if (name === 'identities') yield damage('root.rows', where, what, REMOVED_BY_REPAIR, { rows });
  else if (name === 'settings') yield damage('root.rows', where, what, restoring(why));
  else if (name === 'meta' && !isCounter(row.key.toString('utf8')))
    yield damage('root.rows', where, what, restoring(why));
}
