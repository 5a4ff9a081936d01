import { type Ino, isPrivateIno, type Name, PRIVATE_INO_BASE } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { DeltaEntry, DeltaName } from '../core/ports.ts';
import { Generation, type NameState } from './generation.ts';
import { listNames } from './listing.ts';
import type { OnDamage, TableView } from './table-view.ts';

/**
 * Answers what the env has changed: the active generation, over the frozen one (while a checkpoint runs), over the
 * link table (once there is one).
 */
export class PendingChanges<Table extends TableView = TableView> {
  active = new Generation();
  frozen: Generation | null = null;
  table: Table | null;

  constructor(table: Table | null) {
    this.table = table;
  }

  /** The number of names and inodes in memory. */
  get tail(): number {
    return this.active.size + (this.frozen?.size ?? 0);
  }

  /** Freezes the active generation and returns it; new changes go to a new one. Only while none is frozen. */
  freeze(): Generation {
    const frozen = this.active;
    this.frozen = frozen;
    this.active = new Generation();
    return frozen;
  }

  name(dir: Ino, name: Name): DeltaName | null {
    const state = this.active.name(dir, name) ?? this.frozen?.name(dir, name);
    if (state !== undefined) return state.present ? state : null;
    const { table } = this;
    if (table === null || table.isKnownEmpty(dir)) return null;
    const found = table.name(dir, name);
    // Asked only now, since it costs more than one name; further misses in the directory then cost nothing.
    if (found === null) table.hasNames(dir);
    return found;
  }

  list(dir: Ino, after: number, max: number): readonly DeltaEntry[] {
    return listNames(this.#generations(), this.table, dir, after, max);
  }

  hasNames(dir: Ino): boolean {
    if (this.active.dirs.has(dir) || this.frozen?.dirs.has(dir)) return true;
    return this.table?.hasNames(dir) ?? false;
  }

  inode(ino: Ino): InodeRecord | null {
    let record = this.active.inodes.get(ino);
    if (record === undefined) record = this.frozen?.inodes.get(ino);
    return record !== undefined ? record : (this.table?.inode(ino) ?? null);
  }

  /**
   * Yields every name of the delta, whiteouts included, grouped by directory; directories come in no order.
   * @param onDamage for a table that may be damaged; without it, a row that does not decode throws
   */
  *allNames(onDamage?: OnDamage): IterableIterator<NameState> {
    for (const generation of this.#generations()) {
      for (const [dir, names] of generation.dirs) {
        for (const state of names.states.values()) {
          if (state.present && this.name(dir, state.name) === state) yield state;
        }
      }
    }
    const names = onDamage ? this.table?.soundNames(onDamage) : this.table?.allNames();
    for (const state of names ?? []) {
      if (!this.#inMemory(state)) yield state;
    }
  }

  /** Returns the number of inodes that the env made. */
  ownInodes(): number {
    const { table } = this;
    let count = table?.inodesFrom(PRIVATE_INO_BASE as Ino) ?? 0;
    const seen = new Set<Ino>();
    for (const generation of this.#generations()) {
      for (const [ino, record] of generation.inodes) {
        if (!isPrivateIno(ino) || seen.has(ino)) continue;
        seen.add(ino);
        count += (record === null ? 0 : 1) - ((table?.hasInode(ino) ?? false) ? 1 : 0);
      }
    }
    return count;
  }

  /** Returns directories that are not the env's own and that may have names in the delta. */
  templateDirs(): Set<Ino> {
    const dirs = new Set<Ino>(this.table?.dirsBelow(PRIVATE_INO_BASE));
    for (const generation of this.#generations()) {
      for (const dir of generation.dirs.keys()) if (!isPrivateIno(dir)) dirs.add(dir);
    }
    return dirs;
  }

  /**
   * Yields every inode record of the delta.
   * @param onDamage as for allNames()
   */
  *allInodes(onDamage?: OnDamage): IterableIterator<InodeRecord> {
    for (const generation of this.#generations()) {
      for (const [ino, record] of generation.inodes) {
        if (record !== null && this.inode(ino) === record) yield record;
      }
    }
    const inodes = onDamage ? this.table?.soundInodes(onDamage) : this.table?.allInodes();
    for (const record of inodes ?? []) {
      const { ino } = record;
      if (!this.active.inodes.has(ino) && !this.frozen?.inodes.has(ino)) yield record;
    }
  }

  #inMemory(state: NameState): boolean {
    const { dir, name } = state;
    return (this.active.name(dir, name) ?? this.frozen?.name(dir, name)) !== undefined;
  }

  #generations(): Generation[] {
    return this.frozen === null ? [this.active] : [this.active, this.frozen];
  }
}
