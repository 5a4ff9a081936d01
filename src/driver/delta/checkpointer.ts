import path from 'node:path';
import { failpoint } from '../../base/failpoints.ts';
import { keptDescriptors } from '../../base/kept-descriptors.ts';
import { checkpointInThread } from './checkpoint-thread.ts';
import type { Journal } from './journal.ts';
import { LINK_DIR } from './layout.ts';
import { LMDB_DESCRIPTORS } from './link-table.ts';
import { OwnTable } from './paged-table.ts';
import type { PendingChanges } from './pending-changes.ts';
import type { Segment } from './segment.ts';
import type { TableState } from './table-rows.ts';

interface Frozen {
  readonly segments: readonly Segment[];
  readonly state: TableState;
}

/** The parts of a delta that a checkpoint works on. */
export interface CheckpointParts {
  readonly envDir: string;
  readonly pending: PendingChanges<OwnTable>;
  readonly journal: Journal;
  /** Makes everything committed durable. Resolves to 0 or -errno. */
  flush(): Promise<number>;
  /** Returns the next ino to be given out. */
  nextIno(): number;
  /** Called when `records` names and inodes have left memory. */
  onMoved(records: number): void;
}

/**
 * Moves the pending changes from memory and journal into the link table, in the background:
 *
 * 1. freeze: changes from now on go to a new generation and a new journal segment;
 * 2. flush: the frozen segments are on disk;
 * 3. the checkpoint thread replays them into the table, in one transaction with fsync;
 * 4. drop the frozen generation and the segments.
 *
 * A crash before the commit of 3 leaves everything in the journal. A crash after it leaves segments with changes
 * that the table has: recovery skips them by their sequence number. 2 comes before 3 so that the table is never
 * ahead of the journal: a power cut must not undo a change on which a later, flushed one was made.
 */
export class Checkpointer {
  readonly #parts: CheckpointParts;
  /** The segments and state that an unfinished checkpoint froze: the next one continues with them. */
  #frozen: Frozen | null = null;
  #running: Promise<void> | null = null;
  /** Resolves when checkpoints may be made again; null while they may. */
  #paused: Promise<void> | null = null;

  constructor(parts: CheckpointParts) {
    this.#parts = parts;
  }

  get running(): boolean {
    return this.#running !== null;
  }

  /** True if memory holds something that the table does not have, or the journal what it need not have any more. */
  get needed(): boolean {
    const { pending, journal } = this.#parts;
    return this.#frozen !== null || pending.active.size > 0 || journal.isLeft;
  }

  /**
   * Waits for the checkpoint that runs, and lets none begin until the returned function is called: who asks for one waits.
   * A second pause waits for the end of the first.
   */
  async pause(): Promise<() => void> {
    while (this.#paused !== null || this.#running !== null) {
      await (this.#paused ?? this.#running?.catch(() => undefined));
    }
    let resume!: () => void;
    this.#paused = new Promise((resolve) => {
      resume = () => {
        this.#paused = null;
        resolve();
      };
    });
    return resume;
  }

  /** Runs one checkpoint, or joins the one that runs. Rejects with the reason if it fails; nothing is lost then. */
  run(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    while (this.#paused !== null) await this.#paused;
    this.#frozen ??= this.#freeze();
    const { segments, state } = this.#frozen;
    failpoint('checkpoint-frozen');
    const flushed = await this.#parts.flush();
    if (flushed < 0)
      throw new Error(`checkpoint: the journal cannot be flushed: errno ${-flushed}`);
    failpoint('checkpoint-flushed');
    const { envDir, pending } = this.#parts;
    const paths = segments.map((segment) => segment.path);
    const letGo = keptDescriptors.reserve(LMDB_DESCRIPTORS);
    try {
      await checkpointInThread({ envDir, segments: paths, state });
    } finally {
      letGo();
      // It may have been done, too, where this is not known.
      pending.table?.refresh();
    }
    failpoint('checkpoint-done');
    pending.table ??= OwnTable.openOwn(path.join(envDir, LINK_DIR));
    this.#parts.onMoved(pending.frozen?.size ?? 0);
    pending.frozen = null;
    this.#frozen = null;
    this.#parts.journal.drop(segments);
  }

  #freeze(): Frozen {
    const { pending, journal } = this.#parts;
    const segments = journal.freeze();
    if (typeof segments === 'number') {
      throw new Error(`checkpoint: no room for a new journal segment: errno ${-segments}`);
    }
    pending.freeze();
    const { sequence, lineage, bootId } = journal;
    return { segments, state: { sequence, nextIno: this.#parts.nextIno(), lineage, bootId } };
  }
}
