import { failpoint } from '../../base/failpoints.ts';
import { type Ino, type Name, PRIVATE_INO_BASE } from '../../base/ids.ts';
import { noSpaceError } from '../../base/no-space.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { Change } from '../core/ports.ts';
import { openOrCreateTable } from './create-table.ts';
import { Generation, NameState } from './generation.ts';
import { type Hash64, loadHash } from './hash.ts';
import { SEGMENT_HEADER_SIZE } from './journal-format.ts';
import { replayPiece, replaySegment } from './replay.ts';
import { SegmentFile } from './segment-file.ts';
import type { TableState } from './table-rows.ts';

/** One checkpoint's work: frozen journal segments to move into an env's link table. All are on disk. */
export interface CheckpointJob {
  readonly envDir: string;
  /** Paths of the segments, oldest first. */
  readonly segments: readonly string[];
  /** The state that the table has afterwards; its sequence is the last change in the segments. */
  readonly state: TableState;
  /** About how many bytes of the segments to move; by default all. The job is then to be repeated until the table has the state. */
  readonly pieceBytes?: number;
}

/**
 * Replays the segments into the table, in one transaction that is on disk when this resolves. On an error it
 * throws, and leaves the table as before. Changes that the table already had are skipped, so a job that was done,
 * but not known to be, may be repeated.
 */
export async function runCheckpoint(job: CheckpointJob): Promise<void> {
  const hash = await loadHash();
  const table = await openOrCreateTable(job.envDir);
  try {
    const before = table.state();
    const { generation, sequence } = readSegments(job, before?.sequence ?? 0, hash);
    // Recovery learns from the rest of the journal which files it has to look at: see runDrain().
    const { nextIno, bootId } = before ?? { ...job.state, nextIno: PRIVATE_INO_BASE + 1 };
    const isAll = sequence === job.state.sequence;
    const state = isAll ? job.state : { ...job.state, sequence, nextIno, bootId };
    failpoint('checkpoint-read');
    if (!table.hasSpaceFor(generation)) throw noSpaceError();
    table.write(() => {
      table.putAll(generation);
      // A crash here leaves the table as it was: the transaction is all or nothing.
      failpoint('checkpoint-put');
      table.putState(state);
    });
  } finally {
    await table.close();
  }
}

/** What is moved in one transaction. */
interface Piece {
  readonly generation: Generation;
  /** The last change in it. */
  readonly sequence: number;
}

/** Returns the mutations after change `from`, keyed by what they change: most directories change many times. */
function readSegments(job: CheckpointJob, from: number, hash: Hash64): Piece {
  const generation = new Generation();
  const sink = generationSink(generation);
  const { pieceBytes } = job;
  let sequence = from;
  for (const file of job.segments) {
    sequence = replayFile(file, sequence, hash, sink, pieceBytes);
    if (pieceBytes !== undefined && sequence > from) break;
  }
  // A change that memory has but the journal has not must never count as moved.
  if (sequence === from || pieceBytes === undefined) mustBeAt(job, sequence);
  return { generation, sequence };
}

function mustBeAt({ envDir, state }: CheckpointJob, sequence: number): void {
  if (sequence !== state.sequence)
    throw new Error(`${envDir}: the journal ends at ${sequence}, not at ${state.sequence}`);
}

/** Gives `sink` what follows change `from` in a segment, or a piece of that. Returns the last change that is known then. */
function replayFile(
  path: string,
  from: number,
  hash: Hash64,
  sink: Change,
  pieceBytes?: number,
): number {
  const file = new SegmentFile(path, hash);
  try {
    const { header } = file;
    if (header === null) throw new Error(`${path}: its header does not check`);
    if (pieceBytes === undefined) return replaySegment(file, header, from, hash, sink).sequence;
    let done = { at: SEGMENT_HEADER_SIZE, sequence: from };
    for (;;) {
      const next = replayPiece(file, header, done, hash, sink, null, pieceBytes);
      if (next.at === done.at || next.sequence > from) return next.sequence;
      done = next;
    }
  } finally {
    file.close();
  }
}

/** Returns a sink that puts replayed mutations into `generation`. */
export const generationSink = (generation: Generation): Change => ({
  setName(dir: Ino, name: Name, ino: Ino | 0, type: number) {
    generation.setName(new NameState(dir, name, ino, type, true));
  },
  clearName(dir: Ino, name: Name) {
    generation.setName(new NameState(dir, name, 0, 0, false));
  },
  setInode(record: InodeRecord) {
    generation.setInode(record.ino, record);
  },
  clearInode(ino: Ino) {
    generation.setInode(ino, null);
  },
});
