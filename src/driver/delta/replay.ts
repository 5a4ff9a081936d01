import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { reasonOf } from '../../base/damaged.ts';
import type { Change } from '../core/ports.ts';
import type { Hash64 } from './hash.ts';
import { decodeHeader, SEGMENT_HEADER_SIZE, type SegmentHeader } from './journal-format.ts';
import { segmentName, segmentNumber } from './layout.ts';
import { findRecord, recordAt, replayRecord } from './segment-reader.ts';
import type { TableState } from './table-rows.ts';

/** A segment as recovery found it. */
export interface SegmentReplay {
  readonly path: string;
  readonly number: number;
  readonly header: SegmentHeader;
  /** The number of bytes that hold the header and valid records. */
  readonly length: number;
  /** The file's size in bytes. */
  readonly fileLength: number;
}

/** The content of an env's journal, as a replay found it. */
export interface JournalReplay {
  /** Segments to keep, oldest first. */
  readonly segments: readonly SegmentReplay[];
  /** Files that hold nothing of value: no record yet, only what the table has, or what came after a tear. */
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
}

interface LoadedSegment {
  readonly path: string;
  readonly number: number;
  readonly bytes: Buffer;
  readonly header: SegmentHeader | null;
}

/** Reads the journal's segments, ordered by number, with their bytes. */
function loadSegments(envDir: string, hash: Hash64): LoadedSegment[] {
  return readdirSync(envDir)
    .map(segmentNumber)
    .filter((number) => number >= 0)
    .sort((a, b) => a - b)
    .map((number) => {
      const file = path.join(envDir, segmentName(number));
      const bytes = readFileSync(file);
      return { path: file, number, bytes, header: decodeHeader(bytes, hash) };
    });
}

/**
 * Replays the journal over a table of this state (null: no table): records in sequence, up to the first that is
 * invalid or does not follow. Writes nothing.
 *
 * The end of a journal may be torn: a record half written when the process died, or, after a power cut, pages that
 * reached the disk out of order. That is normal, and nothing after it was promised. But a valid record *beyond*
 * the tear proves that something promised is lost, if it says that the torn part was on disk when it was written,
 * or if it was written in this very boot: that is damage.
 */
export function replayJournal(
  envDir: string,
  state: TableState | null,
  bootId: string,
  hash: Hash64,
  sink: ReplaySink,
): JournalReplay {
  const loaded = loadSegments(envDir, hash);
  const segments: SegmentReplay[] = [];
  const dead: string[] = [];
  const spent: SegmentReplay[] = [];
  const tableSequence = state?.sequence ?? 0;
  let sequence = tableSequence;
  let lineage: bigint | null = state?.lineage ?? null;
  let damage: string | null = null;
  let torn = false;

  for (const segment of loaded) {
    const { header, bytes } = segment;
    if (header === null) {
      if (!isUnwritten(bytes)) damage ??= `${segment.path}: its header does not check`;
      torn ||= bytes.length > SEGMENT_HEADER_SIZE;
      dead.push(segment.path);
      continue;
    }
    let at = SEGMENT_HEADER_SIZE;
    if (!torn && damage === null) {
      if (lineage !== null && lineage !== header.lineage) {
        damage = `${segment.path}: it is of another env`;
      } else {
        lineage = header.lineage;
        sink.boot(header.bootId);
        try {
          ({ at, sequence } = replaySegment(bytes, header, sequence, hash, sink));
        } catch (error) {
          // The record is valid but cannot be understood: another version of byref wrote it.
          damage = `${segment.path}: ${reasonOf(error)}`;
        }
      }
    }
    const isWhole = at === bytes.length;
    if (!isWhole) {
      const lost = lostRecord(segment, header, at, sequence, bootId, hash);
      if (lost !== null) damage ??= lost;
      torn = true;
    }
    // The segment holds nothing, or nothing that the table does not have.
    const kept = at > SEGMENT_HEADER_SIZE && sequence > tableSequence;
    const { path, number } = segment;
    const read = { path, number, header, length: at, fileLength: bytes.length };
    if (kept) segments.push(read);
    else dead.push(path);
    if (!kept && isWhole) spent.push(read);
  }
  const nextNumber = (loaded.at(-1)?.number ?? 0) + 1;
  const lastNumber = loaded.findLast(({ header }) => header !== null)?.number ?? 0;
  const found = loaded.length > 0;
  return { segments, dead, spent, sequence, lineage, nextNumber, lastNumber, found, damage };
}

/** Returns true for what a crash leaves of a segment that was just created: nothing, or zeros. */
const isUnwritten = (bytes: Buffer): boolean =>
  bytes.length < SEGMENT_HEADER_SIZE ||
  bytes.subarray(0, SEGMENT_HEADER_SIZE).every((byte) => byte === 0);

/**
 * Gives `sink` the records that follow change `from`, up to the first that is invalid or does not follow. Returns
 * the end of the good records, and the last change that is known.
 * @param start where the first record begins
 */
export function replaySegment(
  bytes: Buffer,
  header: SegmentHeader,
  from: number,
  hash: Hash64,
  sink: Change,
  start = SEGMENT_HEADER_SIZE,
): { at: number; sequence: number } {
  let sequence = from;
  let at = start;
  for (;;) {
    const span = recordAt(bytes, at, header.seed, hash);
    if (span === null || span.sequence > sequence + 1) return { at, sequence };
    // Changes that the table already has (after a crash between its commit and the segment's end) are skipped.
    if (span.sequence === sequence + 1) {
      replayRecord(bytes, span, sink);
      sequence = span.sequence;
    }
    at += span.length;
  }
}

function lostRecord(
  segment: LoadedSegment,
  header: SegmentHeader,
  from: number,
  sequence: number,
  bootId: string,
  hash: Hash64,
): string | null {
  for (let at = from; ; ) {
    const span = findRecord(segment.bytes, at, header.seed, hash);
    if (span === null) return null;
    if (span.durable > sequence || header.bootId === bootId) {
      return `${segment.path}: damaged at byte ${from}, change ${sequence + 1} is lost`;
    }
    at = span.at + span.length;
  }
}
