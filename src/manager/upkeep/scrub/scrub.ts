/**
 * `byref scrub`: reads all objects at a bounded rate, and compares each with the SHA-256 that is its name. A round may take days: it is
 * done in as many runs as it takes, each of which goes on where the last one ended.
 */
import type { ObjectId } from '../../../base/ids.ts';
import { decodeObject, type ObjectRow } from '../../../codec/store-rows.ts';
import { objectKey } from '../../../store/keys.ts';
import { knownDamage, noteDamage } from '../../../store/known-damage.ts';
import { rawTables } from '../../../store/raw-tables.ts';
import type { Store } from '../../../store/store.ts';
import type { BrokenObject } from '../fsck/finding.ts';
import { checkObject, type ObjectReads } from './check-object.ts';
import { Pace } from './pace.ts';
import { DiskReader } from './read-object.ts';
import { type ScrubRound, type ScrubState, saveScrubState, scrubState } from './scrub-state.ts';

/** How a root is scrubbed. */
export interface ScrubOptions {
  /** Bytes per second; 0: as fast as the disk reads. */
  readonly rate: number;
  /** Ends the run, which the next one goes on with. */
  readonly signal: AbortSignal;
  readonly progress: (state: ScrubProgress) => void;
}

/** How far a run is. */
export interface ScrubProgress {
  readonly phase: string;
  /** Objects and bytes that were read in this run. */
  readonly files: number;
  readonly bytes: number;
  /** How much of the round is done, 0 .. 1. */
  readonly part: number;
}

/** What a run read, and found. */
export interface Scrubbed {
  readonly objects: number;
  readonly bytes: number;
  readonly round: ScrubRound;
  readonly broken: readonly BrokenObject[];
}

/** How many rows are read at a time, so that no transaction of the store stays open. */
const ROWS = 256;
/** How often it is noted how far the run is. */
const SAVE_MS = 5_000;

/** Reads objects up to the end of the round, or until the signal is aborted. What it finds is noted for the next runs, too. */
export async function readObjects(store: Store, options: ScrubOptions): Promise<Scrubbed> {
  return new Scrub(store, options).run();
}

class Scrub {
  private readonly store: Store;
  private readonly options: ScrubOptions;
  private readonly reads: ObjectReads;
  private readonly broken = new Map<ObjectId, BrokenObject>();
  private state: ScrubState;
  private round: ScrubRound;
  private objects = 0;
  private bytes = 0;
  private savedMs = performance.now();

  constructor(store: Store, options: ScrubOptions) {
    this.store = store;
    this.options = options;
    this.state = scrubState(store.root);
    this.round = this.state.round ?? {
      begunMs: Date.now(),
      endedMs: null,
      objects: 0,
      bytes: 0,
    };
    const onBytes = (bytes: number): void => {
      this.bytes += bytes;
      this.round = { ...this.round, bytes: this.round.bytes + bytes };
      this.tell();
    };
    this.reads = {
      reader: new DiskReader(),
      pace: new Pace(options.rate, options.signal),
      onBytes,
    };
  }

  async run(): Promise<Scrubbed> {
    try {
      await this.readAll();
    } catch (error) {
      if (this.options.signal.aborted) return this.end(null);
      throw error;
    }
    return this.end(Date.now());
  }

  private async readAll(): Promise<void> {
    // What an earlier run found is said again, for as long as it is so.
    for (const id of knownDamage(this.store.root)) {
      const row = this.store.objects.row(id);
      if (row !== null) await this.check(id, row);
    }
    for (;;) {
      const rows = this.next();
      for (const [id, row] of rows) {
        this.options.signal.throwIfAborted();
        // One that is known to be damaged was read just now.
        if (!this.broken.has(id)) await this.check(id, row);
        this.round = { ...this.round, objects: this.round.objects + 1 };
        this.state = { ...this.state, after: id };
        this.saveNowAndThen();
      }
      if (rows.length === 0) return;
    }
  }

  private async check(id: ObjectId, row: ObjectRow): Promise<void> {
    this.objects++;
    const broken = await checkObject(this.store, id, row, this.reads);
    if (broken === null) return;
    this.broken.set(id, broken);
    noteDamage(this.store.root, new Set([...knownDamage(this.store.root), id]));
  }

  private next(): (readonly [ObjectId, ObjectRow])[] {
    this.store.refresh();
    const { after } = this.state;
    const from = after === '' ? {} : { start: objectKey(after) };
    const objects = rawTables(this.store).table('objects');
    const range = objects.getRange({ ...from, limit: ROWS + 1 });
    const rows: (readonly [ObjectId, ObjectRow])[] = [];
    for (const { key, value } of range) {
      const id = key.toString('hex') as ObjectId;
      if (id !== after) rows.push([id, decodeObject(value)]);
    }
    return rows;
  }

  /** @param endedMs when the round was ended; null if the run is, before it */
  private end(endedMs: number | null): Scrubbed {
    const { store, objects, bytes } = this;
    const round = { ...this.round, endedMs };
    this.state =
      endedMs === null ? { ...this.state, round } : { after: '', round: null, last: round };
    saveScrubState(store.root, this.state);
    return { objects, bytes, round, broken: [...this.broken.values()] };
  }

  private saveNowAndThen(): void {
    const now = performance.now();
    if (now - this.savedMs < SAVE_MS) return;
    this.savedMs = now;
    saveScrubState(this.store.root, { ...this.state, round: this.round });
  }

  private tell(): void {
    const { after } = this.state;
    // Names of objects are spread evenly.
    const part = after === '' ? 0 : Number.parseInt(after.slice(0, 8), 16) / 2 ** 32;
    this.options.progress({ phase: 'read', files: this.objects, bytes: this.bytes, part });
  }
}
