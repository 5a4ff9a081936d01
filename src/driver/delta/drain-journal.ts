import { failpoint } from '../../base/failpoints.ts';
import { PRIVATE_INO_BASE } from '../../base/ids.ts';
import { noSpaceError } from '../../base/no-space.ts';
import { generationSink } from './checkpoint-job.ts';
import { openOrCreateTable } from './create-table.ts';
import { Generation } from './generation.ts';
import { type Hash64, loadHash } from './hash.ts';
import { SEGMENT_HEADER_SIZE } from './journal-format.ts';
import type { LinkTable } from './link-table.ts';
import { replayPiece } from './replay.ts';
import { journalBytes, SegmentFile, segmentsIn } from './segment-file.ts';

/**
 * A journal with more bytes than this is moved into the link table before anything is opened: in memory its records take five to
 * ten times as many. It is twice what an env writes between two checkpoints.
 */
const LARGE_BYTES = 16 * 2 ** 20;

/** A journal to be moved into an env's link table piece by piece, for a recovery in bounded memory. */
export interface DrainJob {
  readonly drain: string;
}

/** Returns true if an env's journal is too large to be recovered in memory. */
export const isLargeJournal = (envDir: string, largeBytes = LARGE_BYTES): boolean =>
  journalBytes(envDir) > largeBytes;

/**
 * Moves the records of a journal into the link table, each piece in a transaction of its own, up to the first that is not
 * whole. What is moved is on disk in the journal first, so that the table is never ahead of it. If this is cut short, it goes on
 * from there the next time.
 *
 * The segments stay: recovery learns from them which files it has to look at. So the table's next number and boot stay what they
 * were, too, until the checkpoint after the recovery.
 */
export async function runDrain({ drain: envDir }: DrainJob): Promise<void> {
  const hash = await loadHash();
  const table = await openOrCreateTable(envDir);
  try {
    for (const file of segmentsIn(envDir)) if (!drainSegment(file, table, hash)) break;
  } finally {
    await table.close();
  }
}

/** Moves one segment. Returns true if all of it is in the table. */
function drainSegment(path: string, table: LinkTable, hash: Hash64): boolean {
  const file = new SegmentFile(path, hash);
  try {
    const { header } = file;
    const before = table.state();
    if (header === null || header.lineage !== (before?.lineage ?? header.lineage)) return false;
    const { bootId, nextIno } = before ?? { ...header, nextIno: PRIVATE_INO_BASE + 1 };
    file.sync();
    let done = { at: SEGMENT_HEADER_SIZE, sequence: before?.sequence ?? 0 };
    for (;;) {
      const generation = new Generation();
      const next = replayPiece(file, header, done, hash, generationSink(generation));
      if (next.at === done.at) return file.endsAt(next.at);
      if (next.sequence > done.sequence) {
        const { sequence } = next;
        if (!table.hasSpaceFor(generation)) throw noSpaceError();
        table.write(() => {
          table.putAll(generation);
          table.putState({ sequence, nextIno, lineage: header.lineage, bootId });
        });
        failpoint('journal-drained');
      }
      done = next;
    }
  } finally {
    file.close();
  }
}
