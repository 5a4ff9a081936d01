import { reasonOf } from '../../base/damaged.ts';
import type { Change } from '../core/ports.ts';
import type { Hash64 } from './hash.ts';
import { SEGMENT_HEADER_SIZE, type SegmentHeader } from './journal-format.ts';
import { PIECE_BYTES, SegmentFile, segmentsIn } from './segment-file.ts';
import { findRecord, lengthSaid, recordAt, replayRecord } from './segment-reader.ts';
import type { TableState } from './table-rows.ts';

/** A segment as recovery found it. */
export interface SegmentReplay {
  readonly path: string;
  readonly number: number;
  readonly header: SegmentHeader;
  /** The number of bytes that hold the header and valid records. */
  readonly length: number;
  /** The file's size in bytes, without zeros at its end. */
  readonly fileLength: number;
}

/** The content of an env's journal, as a replay found it. */
export interface JournalReplay {
  /** Segments to keep, oldest first. */
  readonly segments: readonly SegmentReplay[];
  /** Files that hold nothing of value: no record yet, only what the table has (unless that is to be kept), or what came after a tear. */
  readonly dead: readonly string[];
  /** Those of the dead ones that are whole: they hold no record yet, or only what the table has. */
  readonly spent: readonly SegmentReplay[];
  /** The last change that was replayed, or that the table had. */
  readonly sequence: number;
  readonly lineage: bigint | null;
  readonly nextNumber: number;
  /** The number of the last segment whose header checks; 0 if there is none. */
  readonly lastNumber: number;
  /** True if there was a journal: the last holder did not finish, or the machine stopped. */
  readonly found: boolean;
  /** Why the journal can't be trusted beyond `sequence`, or null. A torn end is not damage. */
  readonly damage: string | null;
}

/** Receives replayed mutations, and before them the boot in which they were written. */
export interface ReplaySink extends Change {
  boot(bootId: string): void;
  /** Receives those that the table has already. */
  readonly known: Change;
}

/**
 * Replays the journal over a table of this state (null: no table): records in sequence, up to the first that is
 * invalid or does not follow. Writes nothing.
 *
 * The end of a journal may be torn: a record half written when the process died, or, after a power cut, pages that
 * reached the disk out of order. That is normal, and nothing after it was promised. But a valid record *beyond*
 * the tear proves that something promised is lost, if it says that the torn part was on disk when it was written,
 * or if it was written in this very boot: that is damage.
 * @param keepKnown keeps segments, too, of which the table has everything
 */
export function replayJournal(
  envDir: string,
  state: TableState | null,
  bootId: string,
  hash: Hash64,
  sink: ReplaySink,
  keepKnown = false,
): JournalReplay {
  const segments: SegmentReplay[] = [];
  const dead: string[] = [];
  const spent: SegmentReplay[] = [];
  const tableSequence = state?.sequence ?? 0;
  const files: SegmentFile[] = [];
  let sequence = tableSequence;
  let lineage: bigint | null = state?.lineage ?? null;
  let damage: string | null = null;
  let torn = false;

  try {
    for (const each of segmentsIn(envDir)) files.push(new SegmentFile(each, hash));
    for (const file of files) {
      const { header, path, number, size } = file;
      if (header === null) {
        if (!isUnwritten(file)) damage ??= `${path}: its header does not check`;
        torn ||= size > SEGMENT_HEADER_SIZE;
        dead.push(path);
        continue;
      }
      let at = SEGMENT_HEADER_SIZE;
      if (!torn && damage === null) {
        if (lineage !== null && lineage !== header.lineage) {
          damage = `${path}: it is of another env`;
        } else {
          lineage = header.lineage;
          sink.boot(header.bootId);
          try {
            ({ at, sequence } = replaySegment(file, header, sequence, hash, sink, sink.known));
          } catch (error) {
            // The record is valid but cannot be understood: another version of byref wrote it.
            damage = `${path}: ${reasonOf(error)}`;
          }
        }
      }
      const isWhole = file.endsAt(at);
      if (!isWhole) {
        const lost = lostRecord(file, header, at, sequence, bootId, hash);
        if (lost !== null) damage ??= lost;
        torn = true;
      }
      const kept = at > SEGMENT_HEADER_SIZE && (keepKnown || sequence > tableSequence);
      const read = { path, number, header, length: at, fileLength: isWhole ? at : size };
      if (kept) segments.push(read);
      else dead.push(path);
      if (!kept && isWhole) spent.push(read);
    }
  } finally {
    for (const file of files) file.close();
  }
  const nextNumber = (files.at(-1)?.number ?? 0) + 1;
  const lastNumber = files.findLast(({ header }) => header !== null)?.number ?? 0;
  const found = files.length > 0;
  return { segments, dead, spent, sequence, lineage, nextNumber, lastNumber, found, damage };
}

/** Returns true for what a crash leaves of a segment that was just created: nothing, or zeros. */
const isUnwritten = (file: SegmentFile): boolean =>
  file.size < SEGMENT_HEADER_SIZE || file.read(0, SEGMENT_HEADER_SIZE).every((byte) => byte === 0);

/** The end of what a replay has read, and the last change that is known then. */
interface ReplayedTo {
  readonly at: number;
  readonly sequence: number;
}

/**
 * Gives `sink` the records that follow change `from`, up to the first that is invalid or does not follow, and `known` those
 * up to `from`. Returns where the good records end.
 */
export function replaySegment(
  file: SegmentFile,
  header: SegmentHeader,
  from: number,
  hash: Hash64,
  sink: Change,
  known: Change | null = null,
): ReplayedTo {
  let done: ReplayedTo = { at: SEGMENT_HEADER_SIZE, sequence: from };
  for (;;) {
    const next = replayPiece(file, header, done, hash, sink, known);
    if (next.at === done.at) return done;
    done = next;
  }
}

/**
 * Does for a piece of a segment what replaySegment() does for all of it. Its end is its beginning if no more records follow.
 * @param pieceBytes how long a piece is, or one record if that is longer
 */
export function replayPiece(
  file: SegmentFile,
  header: SegmentHeader,
  { at, sequence: from }: ReplayedTo,
  hash: Hash64,
  sink: Change,
  known: Change | null = null,
  pieceBytes = PIECE_BYTES,
): ReplayedTo {
  for (let length = pieceBytes; ; ) {
    const bytes = file.read(at, length);
    const replayed = replayBytes(bytes, header, from, hash, sink, known);
    if (replayed.at > 0) return { at: at + replayed.at, sequence: replayed.sequence };
    const whole = lengthSaid(bytes, 0);
    if (whole <= bytes.length || bytes.length < length) return { at, sequence: from };
    length = whole;
  }
}

function replayBytes(
  bytes: Buffer,
  header: SegmentHeader,
  from: number,
  hash: Hash64,
  sink: Change,
  known: Change | null,
): ReplayedTo {
  let sequence = from;
  let at = 0;
  for (;;) {
    const span = recordAt(bytes, at, header.seed, hash);
    if (span === null || span.sequence > sequence + 1) return { at, sequence };
    if (span.sequence === sequence + 1) {
      replayRecord(bytes, span, sink);
      sequence = span.sequence;
    } else if (known !== null) {
      // The table has it already, after a crash between its commit and the segment's end, or since it was moved there in pieces.
      replayRecord(bytes, span, known);
    }
    at += span.length;
  }
}

function lostRecord(
  file: SegmentFile,
  header: SegmentHeader,
  from: number,
  sequence: number,
  bootId: string,
  hash: Hash64,
): string | null {
  for (let at = from; ; ) {
    const span = findRecord(file, at, header.seed, hash);
    if (span === null) return null;
    if (span.durable > sequence || header.bootId === bootId) {
      return `${file.path}: damaged at byte ${from}, change ${sequence + 1} is lost`;
    }
    at = span.at + span.length;
  }
}
