import { TABLES, type TableName } from '../../../store/tables.ts';
import { BY_REPAIR, damage, type Found, FROM_BACKUP } from './finding.ts';
import type { Job } from './job.ts';
import { eachKey, isKey } from './rows.ts';

/** Tables that follow from others: wrong rows in them can be removed. */
const INDEXES: ReadonlySet<TableName> = new Set<TableName>([
  'changes',
  'templateDirs',
  'inodes',
  'dirs',
  'dirNames',
  'objects',
]);

/** Finds rows with an invalid key: no command looks them up, but those that read all rows fail on them. */
export function* checkKeys({ tables }: Job): Generator<Found> {
  for (const name of TABLES) {
    for (const key of [...eachKey(tables, name)]) {
      if (isKey(name, key)) continue;
      const where = `table ${name}, key ${key.toString('hex', 0, 40)}`;
      const what = `a key of this table never has ${key.length} bytes`;
      const rows = () => void tables.table(name).removeSync(key);
      yield INDEXES.has(name)
        ? damage('root.tables', where, what, BY_REPAIR, { rows })
        : damage('root.tables', where, what, FROM_BACKUP);
    }
  }
}
