import { setImmediate as nextTurn } from 'node:timers/promises';
import { failpoint } from '../base/failpoints.ts';
import type { Generation } from './generation.ts';
import type { Journal } from './journal.ts';
import { LinkTable, type Writes } from './link-table.ts';
import type { Overlay } from './overlay.ts';
import type { Segment } from './segment.ts';

/** Mutations given to LMDB before other work gets a turn: about 1 ms. */
const SLICE = 256;

interface Frozen {
  readonly generation: Generation;
  readonly segments: readonly Segment[];
  readonly sequence: number;
  readonly nextIno: number;
}

export interface CheckpointParts {
  readonly tableDir: string;
  readonly overlay: Overlay;
  readonly journal: Journal;
  /** Makes all that is committed durable: 0 or -errno. */
  flush(): Promise<number>;
  /** The next ino to be given out. */
  nextIno(): number;
}

/**
 * Moves what is in memory and journal into the link table, in the background:
 *
 * 1. freeze: changes from now on go to a new generation and a new journal segment;
 * 2. flush: the frozen segments are on disk;
 * 3. put the frozen mutations, a slice per turn, in as many transactions as that makes;
 * 4. when all are on disk, put the table's state: up to which change it is complete;
 * 5. drop the frozen generation and segments.
 *
 * A crash before 4 leaves a table with part of the frozen mutations, and the whole of them in the journal
 * (that is why 2 comes before 3): replaying them all over it yields the same, since each mutation sets
 * or clears one row, whatever it was. A crash after 4 leaves segments that recovery passes over.
 */
export class Checkpointer {
  readonly #parts: CheckpointParts;
  /** What a checkpoint began with and did not finish: the next one takes it up. */
  #frozen: Frozen | null = null;
  #running: Promise<void> | null = null;

  constructor(parts: CheckpointParts) {
    this.#parts = parts;
  }

  get running(): boolean {
    return this.#running !== null;
  }

  /** True if there is something in memory that the table has not. */
  get needed(): boolean {
    return this.#frozen !== null || this.#parts.overlay.active.size > 0;
  }

  /** One checkpoint; while one runs, that one. Throws what went wrong; nothing is lost by it. */
  run(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    this.#frozen ??= this.#freeze();
    const frozen = this.#frozen;
    failpoint('checkpoint-frozen');
    const flushed = await this.#parts.flush();
    if (flushed < 0)
      throw new Error(`checkpoint: the journal cannot be flushed: errno ${-flushed}`);
    failpoint('checkpoint-flushed');
    const { overlay } = this.#parts;
    overlay.table ??= LinkTable.create(this.#parts.tableDir);
    failpoint('checkpoint-table');
    await putGeneration(overlay.table, frozen.generation);
    failpoint('checkpoint-put');
    await this.#putState(overlay.table, frozen);
    // A crash from here on leaves segments whose changes the table has: they are passed over.
    failpoint('checkpoint-done');
    overlay.table.refresh();
    overlay.frozen = null;
    this.#frozen = null;
    this.#parts.journal.drop(frozen.segments);
  }

  #freeze(): Frozen {
    const { overlay, journal } = this.#parts;
    return {
      generation: overlay.freeze(),
      segments: journal.freeze(),
      sequence: journal.sequence,
      nextIno: this.#parts.nextIno(),
    };
  }

  async #putState(table: LinkTable, frozen: Frozen): Promise<void> {
    const { lineage, bootId } = this.#parts.journal;
    await table.putState({ sequence: frozen.sequence, nextIno: frozen.nextIno, lineage, bootId });
  }
}

/** Puts every mutation; resolves when all are on disk, throws if one is not. */
async function putGeneration(table: LinkTable, generation: Generation): Promise<void> {
  const writes: Writes = new Set();
  let count = 0;
  for (const [ino, record] of generation.inodes) {
    table.putInode(ino, record, writes);
    if (++count % SLICE === 0) await endSlice(writes);
  }
  for (const names of generation.dirs.values()) {
    for (const state of names.states.values()) {
      table.putName(state, writes);
      if (++count % SLICE === 0) await endSlice(writes);
    }
  }
  await Promise.all(writes);
}

async function endSlice(writes: Writes): Promise<void> {
  // One that fails while others are still being put is thrown by Promise.all in the end.
  for (const write of writes) write.catch(() => {});
  await nextTurn();
  failpoint('checkpoint-slice');
}
