/** The records of patches, by number: the store's history. */
import {
  decodePatchEnvs,
  decodePatchHead,
  encodePatchEnvs,
  encodePatchHead,
  type PatchHead,
  type PatchRecord,
  type PatchState,
} from '../codec/patch-record.ts';
import { idKey } from './keys.ts';
import type { Tables } from './tables.ts';

/** States in which a command is at it, or was when it died. */
const UNFINISHED: ReadonlySet<PatchState> = new Set(['rolling', 'acting']);
/** How many records are in such a state: so that every command can ask at the cost of one read. */
export const UNFINISHED_COUNT = 'unfinishedPatches';

export const isUnfinished = ({ state }: Pick<PatchHead, 'state'>): boolean => UNFINISHED.has(state);

export class PatchRows {
  private readonly tables: Tables;

  constructor(tables: Tables) {
    this.tables = tables;
  }

  get(id: number): PatchRecord | null {
    const row = this.tables.table('patches').get(idKey(id));
    return row === undefined ? null : this.whole(decodePatchHead(row));
  }

  /** Newest first. */
  *heads(): Generator<PatchHead> {
    for (const { value } of this.tables.table('patches').getRange({ reverse: true })) {
      yield decodePatchHead(value);
    }
  }

  whole(head: PatchHead): PatchRecord {
    const envs = this.tables.table('patchEnvs').get(idKey(head.id));
    return { ...head, envs: envs === undefined ? [] : decodePatchEnvs(envs) };
  }

  /** What is not finished: by a command that runs, or that died. Newest first. */
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

  /** Adds a record under the next number; inside a transaction. */
  add(record: Omit<PatchRecord, 'id'>): PatchRecord {
    const added = { ...record, id: this.tables.take('nextPatch') };
    this.put(added);
    return added;
  }

  /** Adds or replaces; inside a transaction. */
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
