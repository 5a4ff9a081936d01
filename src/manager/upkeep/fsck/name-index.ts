import { idKey, textKey } from '../../../store/keys.ts';
import type { Table } from '../../../store/table.ts';
import type { TableName } from '../../../store/tables.ts';
import { BY_REPAIR, type CheckName, damage, type Found, FROM_BACKUP } from './finding.ts';
import type { Job } from './job.ts';
import { eachRow, exactLength } from './rows.ts';

/** An index from names to ids, of templates or of envs. */
export interface NameIndex {
  readonly check: CheckName;
  readonly index: Extract<TableName, 'templateNames' | 'envNames'>;
  /** Describes an entry: "env web". The id is null if none is known to have the name. */
  readonly describe: (named: { readonly id: number | null; readonly name: string }) => string;
  /** The rows that could be read. */
  readonly rows: readonly { readonly id: number; readonly name: string }[];
  /** Returns true if this id has a row, readable or not. */
  readonly has: (id: number) => boolean;
  /** Returns false if other traces of an id without a row show that its row was lost, not removed. */
  readonly mayRemove: (id: number) => boolean;
}

/** Checks that each name leads to the one row that has it, and that each row is found by its name. */
export function* checkNameIndex(job: Job, wanted: NameIndex): Generator<Found> {
  const { check, index, describe, rows, has } = wanted;
  const byName = new Map<string, number>();
  const ids = new Set(rows.map(({ id }) => id));
  for (const { id, name } of rows) {
    const other = byName.get(name);
    if (other === undefined) byName.set(name, id);
    else {
      const what = `numbers ${other} and ${id} have this one name`;
      yield damage(check, describe({ id, name }), what, FROM_BACKUP);
    }
  }
  const table = (): Table => job.tables.table(index);
  const indexed = new Map<string, number | null>();
  const entries = eachRow(
    job.tables,
    index,
    (value) => exactLength(value, 4).readUInt32BE(0),
    ({ key }) => indexed.set(key.toString('utf8'), null),
  );
  for (const { key, value } of entries) indexed.set(key.toString('utf8'), value);
  for (const [name, id] of byName) {
    const found = indexed.get(name);
    if (found === id) continue;
    const what =
      found === undefined ? `${index} lacks it` : `${index} says that it is number ${found ?? '?'}`;
    const fix = { rows: () => table().putSync(textKey(name), idKey(id)) };
    yield damage(check, describe({ id, name }), what, BY_REPAIR, fix);
  }
  for (const [name, id] of indexed) {
    if (byName.has(name)) continue;
    // The row exists but can't be read, which is a finding by itself: its name may be left only here.
    if (id !== null && has(id) && !ids.has(id)) continue;
    const what = `${index} has the name for number ${id ?? '?'}, which has no such row`;
    const removable = id === null || has(id) || wanted.mayRemove(id);
    const fix = removable ? { rows: () => void table().removeSync(textKey(name)) } : {};
    const where = describe({ id: null, name });
    yield damage(check, where, what, removable ? BY_REPAIR : FROM_BACKUP, fix);
  }
}
