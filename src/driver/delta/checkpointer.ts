import path from 'node:path';
import { failpoint } from '../../base/failpoints.ts';
import { keptDescriptors } from '../../base/kept-descriptors.ts';
import { isNoSpace } from '../../base/no-space.ts';
import type { CheckpointJob } from './checkpoint-job.ts';
import { checkpointInThread } from './checkpoint-thread.ts';
import type { Journal } from './journal.ts';
import { LINK_DIR } from './layout.ts';
import { LinkTable, LMDB_DESCRIPTORS } from './link-table.ts';
import { OwnTable } from './paged-table.ts';
import type { PendingChanges } from './pending-changes.ts';
import type { Room } from './room.ts';
import type { Segment } from './segment.ts';
import type { TableState } from './table-rows.ts';

/** How many bytes of the journal a transaction moves on a full disk: at first, at most, how much less after a failure, and at least. */
const PIECE_FIRST = 8 * 1024;
const PIECE_MAX = 64 * 1024;
const PIECE_STEP = 4;
const PIECE_MIN = 512;
/** How much of what is set aside such transactions get at a time. */
const PIECE_ROOM = 256 * 1024;

interface Frozen {
  readonly segments: readonly Segment[];
  readonly state: TableState;
}

/** The parts of a delta that a checkpoint works on. */
export interface CheckpointParts {
  readonly envDir: string;
  readonly pending: PendingChanges<OwnTable>;
  readonly journal: Journal;
  readonly room: Room;
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
 * On a full disk 3 is done in pieces, each in a transaction of its own.
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
    const job = { envDir, segments: segments.map((segment) => segment.path), state };
    try {
      await this.#move(job);
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      await this.#moveInPieces(job);
    }
    failpoint('checkpoint-done');
    this.#openTable();
    this.#parts.onMoved(pending.frozen?.size ?? 0);
    pending.frozen = null;
    this.#frozen = null;
    this.#parts.journal.drop(segments);
  }

  /** Does the job, or a piece of it. */
  async #move(job: CheckpointJob): Promise<void> {
    const letGo = keptDescriptors.reserve(LMDB_DESCRIPTORS);
    try {
      await checkpointInThread(job);
    } finally {
      letGo();
      // It may have been done, too, where this is not known.
      this.#parts.pending.table?.refresh();
    }
  }

  /**
   * Moves what is frozen piece by piece, on a full disk: LMDB writes each page that a transaction changes to another place, so
   * small transactions need little space, and leave as much for the next one. They get what is set aside.
   */
  async #moveInPieces(job: CheckpointJob): Promise<void> {
    const { room } = this.#parts;
    let pieceBytes = PIECE_FIRST;
    while (this.#openTable()?.state()?.sequence !== job.state.sequence) {
      try {
        await this.#move({ ...job, pieceBytes });
        pieceBytes = Math.min(PIECE_MAX, pieceBytes * 2);
      } catch (error) {
        if (!isNoSpace(error)) throw error;
        if (room.give(PIECE_ROOM)) continue;
        if (pieceBytes > PIECE_MIN) pieceBytes = Math.max(PIECE_MIN, pieceBytes / PIECE_STEP);
        else if (!room.giveShared(PIECE_ROOM)) throw error;
      }
    }
  }

  #openTable(): OwnTable | null {
    const { envDir, pending } = this.#parts;
    const dir = path.join(envDir, LINK_DIR);
    if (pending.table === null && LinkTable.exists(dir)) pending.table = OwnTable.openOwn(dir);
    return pending.table;
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
