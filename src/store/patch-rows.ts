/** The records of patches, by number: the store's history. */
import {
  decodePatch,
  encodePatch,
  type PatchRecord,
  type PatchState,
} from '../codec/patch-record.ts';
import { idKey } from './keys.ts';
import type { Tables } from './tables.ts';

/** States in which a command is at it, or was when it died. */
const UNFINISHED: ReadonlySet<PatchState> = new Set(['rolling', 'acting']);
/** How many records are in such a state: so that every command can ask at the cost of one read. */
const UNFINISHED_COUNT = 'unfinishedPatches';

export class PatchRows {
  private readonly tables: Tables;

  constructor(tables: Tables) {
    this.tables = tables;
  }

  get(id: number): PatchRecord | null {
    const row = this.tables.table('patches').get(idKey(id));
    return row === undefined ? null : decodePatch(row);
  }

  /** Newest first. */
  *all(): Generator<PatchRecord> {
    for (const { value } of this.tables.table('patches').getRange({ reverse: true })) {
      yield decodePatch(value);
    }
  }

  /** What is not finished: by a command that runs, or that died. */
  unfinished(): PatchRecord[] {
    let left = this.tables.number(UNFINISHED_COUNT) ?? 0;
    const records: PatchRecord[] = [];
    if (left === 0) return records;
    for (const record of this.all()) {
      if (!UNFINISHED.has(record.state)) continue;
      records.push(record);
      left--;
      if (left === 0) break;
    }
    return records;
  }

  /** Adds a record under the next number; inside a transaction. */
  add(record: Omit<PatchRecord, 'id'>): PatchRecord {
    const added = { ...record, id: this.tables.take('nextPatch') };
    this.put(added);
    return added;
  }

  /** Adds or replaces; inside a transaction. */
  put(record: PatchRecord): void {
    const before = this.get(record.id);
    const change =
      Number(UNFINISHED.has(record.state)) -
      Number(before !== null && UNFINISHED.has(before.state));
    if (change !== 0) {
      const count = this.tables.number(UNFINISHED_COUNT) ?? 0;
      this.tables.setNumber(UNFINISHED_COUNT, count + change);
    }
    this.tables.table('patches').putSync(idKey(record.id), encodePatch(record));
  }

  /** Takes a record away; inside a transaction. Only finished ones. */
  remove(id: number): void {
    this.tables.table('patches').removeSync(idKey(id));
  }
}
