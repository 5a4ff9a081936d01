/** Keeps the stored record of a patch that is under way, and the lock that belongs to it. */
import { failpoint } from '../../base/failpoints.ts';
import type { PatchKind, PatchRecord, Policy } from '../../codec/patch-record.ts';
import type { Store, TemplateRow } from '../../store/store.ts';
import { author } from './author.ts';
import type { PatchLock } from './lock.ts';
import { afterEvent, type PatchEvent } from './transitions.ts';

/** The parts of a new record that its caller decides. */
export interface RecordOptions {
  readonly kind: PatchKind;
  /** The version that the envs see now; the template's current version if not given. */
  readonly from?: number;
  readonly policies: readonly Policy[];
  readonly note: string;
}

/** The record of one patch: what it is now, and how it is written. The store is open for writing. */
export class RunRecord {
  private readonly store: Store;
  private readonly lock: PatchLock;
  private current: PatchRecord;

  /** Takes up a record that exists. From now on it owns the lock. */
  constructor(store: Store, lock: PatchLock, record: PatchRecord) {
    this.store = store;
    this.lock = lock;
    this.current = record;
  }

  /** Writes a new record, in the state `rolling`. From now on it owns the lock. */
  static begin(
    store: Store,
    lock: PatchLock,
    template: TemplateRow,
    to: number,
    { kind, policies, note, from = template.current }: RecordOptions,
  ): RunRecord {
    const record = store.transaction(() =>
      store.patches.add({
        kind,
        templateId: template.id,
        template: template.name,
        from,
        to,
        state: 'rolling',
        all: false,
        startedMs: Date.now(),
        endedMs: null,
        by: author(),
        policies,
        envs: [],
        note,
      }),
    );
    failpoint('patch-begun');
    return new RunRecord(store, lock, record);
  }

  get now(): PatchRecord {
    return this.current;
  }

  /** Takes an event up in memory: it is written with the next one that is. */
  note(event: PatchEvent): void {
    this.current = afterEvent(this.current, event);
  }

  /** Writes an event, inside the caller's transaction. */
  put(event: PatchEvent): void {
    const next = afterEvent(this.current, event);
    this.store.patches.put(next);
    this.current = next;
  }

  /** Writes an event in a transaction of its own. */
  save(event: PatchEvent): void {
    this.store.transaction(() => this.put(event));
  }

  /** Gives the lock up, without ending the record. */
  release(): void {
    this.lock.release();
  }
}
