/** Reads and writes the records of patches, by number: the store's history. */
import {
  decodePatchEnvs,
  decodePatchHead,
  encodePatchEnvs,
  encodePatchHead,
  type PatchHead,
  type PatchRecord,
  type PatchState,
} from '../codec/patch-record.ts';
import { idKey, isId } from './keys.ts';
import type { Tables } from './tables.ts';

/** The states of a record whose command is at work, or was when it died. */
const UNFINISHED: ReadonlySet<PatchState> = new Set(['rolling', 'acting']);
/**
 * The number in `meta` that counts the records in such a state, so that every command can check at the cost of
 * one read.
 */
export const UNFINISHED_COUNT = 'unfinishedPatches';

/** Returns true for a record whose command is at work, or died at work. */
export const isUnfinished = ({ state }: Pick<PatchHead, 'state'>): boolean => UNFINISHED.has(state);

/** The records of all patches in one store. */
export class PatchRows {
  private readonly tables: Tables;

  constructor(tables: Tables) {
    this.tables = tables;
  }

  get(id: number): PatchRecord | null {
    const row = isId(id) ? this.tables.table('patches').get(idKey(id)) : undefined;
    return row === undefined ? null : this.whole(decodePatchHead(row));
  }

  /** Yields all records without their envs, newest first. */
  *heads(): Generator<PatchHead> {
    for (const { value } of this.tables.table('patches').getRange({ reverse: true })) {
      yield decodePatchHead(value);
    }
  }

  /** Returns the record with its envs. */
  whole(head: PatchHead): PatchRecord {
    const envs = this.tables.table('patchEnvs').get(idKey(head.id));
    return { ...head, envs: envs === undefined ? [] : decodePatchEnvs(envs) };
  }

  /** Returns the patches that are not finished, newest first: their command runs, or died. */
  unfinished(): PatchHead[] {
    let left = this.tables.number(UNFINISHED_COUNT) ?? 0;
    const heads: PatchHead[] = [];
    if (left === 0) return heads;
    for (const head of this.heads()) {
      if (!isUnfinished(head)) continue;
      heads.push(head);
      left--;
      if (left === 0) break;
    }
    return heads;
  }

  /** Adds a record under the next number. Call it inside a transaction. */
  add(record: Omit<PatchRecord, 'id'>): PatchRecord {
    const added = { ...record, id: this.tables.take('nextPatch') };
    this.put(added);
    return added;
  }

  /** Adds or replaces a record. Call it inside a transaction. */
  put(record: PatchRecord): void {
    const { envs, ...head } = record;
    const patches = this.tables.table('patches');
    const before = patches.get(idKey(record.id));
    const was = before !== undefined && isUnfinished(decodePatchHead(before));
    const change = Number(isUnfinished(record)) - Number(was);
    if (change !== 0) {
      const count = this.tables.number(UNFINISHED_COUNT) ?? 0;
      this.tables.setNumber(UNFINISHED_COUNT, count + change);
    }
    patches.putSync(idKey(record.id), encodePatchHead(head));
    this.tables.table('patchEnvs').putSync(idKey(record.id), encodePatchEnvs(envs));
  }
}
