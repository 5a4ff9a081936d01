import { failpoint } from '../../base/failpoints.ts';
import type { Ino, Name } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { Change } from '../core/ports.ts';
import { openOrCreateTable } from './create-table.ts';
import { Generation, NameState } from './generation.ts';
import { type Hash64, loadHash } from './hash.ts';
import { replaySegment } from './replay.ts';
import { SegmentFile } from './segment-file.ts';
import type { TableState } from './table-rows.ts';

/** One checkpoint's work: frozen journal segments to move into an env's link table. All are on disk. */
export interface CheckpointJob {
  readonly envDir: string;
  /** Paths of the segments, oldest first. */
  readonly segments: readonly string[];
  /** The state that the table has afterwards; its sequence is the last change in the segments. */
  readonly state: TableState;
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
    const generation = readSegments(job, table.state()?.sequence ?? 0, hash);
    failpoint('checkpoint-read');
    table.write(() => {
      table.putAll(generation);
      // A crash here leaves the table as it was: the transaction is all or nothing.
      failpoint('checkpoint-put');
      table.putState(job.state);
    });
  } finally {
    await table.close();
  }
}

/** Returns the mutations after change `from`, keyed by what they change: most directories change many times. */
function readSegments(job: CheckpointJob, from: number, hash: Hash64): Generation {
  const generation = new Generation();
  const sink = generationSink(generation);
  let sequence = from;
  for (const file of job.segments) {
    sequence = replayFile(file, sequence, hash, sink);
  }
  // A change that memory has but the journal has not must never count as moved.
  if (sequence !== job.state.sequence) {
    throw new Error(`${job.envDir}: the journal ends at ${sequence}, not at ${job.state.sequence}`);
  }
  return generation;
}

/** Gives `sink` what follows change `from` in a segment. Returns the last change that is known then. */
function replayFile(path: string, from: number, hash: Hash64, sink: Change): number {
  const file = new SegmentFile(path, hash);
  try {
    if (file.header === null) throw new Error(`${path}: its header does not check`);
    return replaySegment(file, file.header, from, hash, sink).sequence;
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
