import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
} from 'node:fs';
import path from 'node:path';
import { failpoint } from '../../base/failpoints.ts';
import { type Ino, isPrivateIno, PRIVATE_INO_BASE } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { Change } from '../core/ports.ts';
import { generationSink } from './checkpoint-job.ts';
import { openOrCreateTable } from './create-table.ts';
import { Generation } from './generation.ts';
import { type Hash64, loadHash } from './hash.ts';
import {
  decodeHeader,
  RECORD_MAX,
  SEGMENT_HEADER_SIZE,
  type SegmentHeader,
} from './journal-format.ts';
import { segmentName, segmentNumber } from './layout.ts';
import type { LinkTable } from './link-table.ts';
import { replaySegment } from './replay.ts';

/** A journal with more bytes than this is moved into the link table before anything is opened. */
const LARGE_BYTES = 32 * 2 ** 20;
/** The bytes of a journal that are in memory at once, with all that is made of them. */
const PIECE_BYTES = 4 * 2 ** 20;

/** A journal to be moved into an env's link table piece by piece, for a recovery in bounded memory. */
export interface DrainJob {
  readonly drain: string;
  /** The present boot: what an earlier one wrote is left to recovery, which has to look at its files. */
  readonly bootId: string;
}

/** Returns true if an env's journal is too large to be recovered in memory. */
export function isLargeJournal(envDir: string, largeBytes = LARGE_BYTES): boolean {
  const sizes = segmentsOf(envDir).map((name) => statSync(path.join(envDir, name)).size);
  return sizes.reduce((sum, size) => sum + size, 0) > largeBytes;
}

const segmentsOf = (envDir: string): string[] =>
  readdirSync(envDir)
    .map(segmentNumber)
    .filter((number) => number >= 0)
    .sort((a, b) => a - b)
    .map(segmentName);

/**
 * Moves the records of a journal into the link table, each piece in a transaction of its own, up to the first that is not
 * whole: that is recovery's. What is moved is on disk in the journal first, so that the table is never ahead of it. If this
 * is cut short, it goes on from there the next time.
 * @returns the names of the segments of which everything is in the table
 */
export async function runDrain({ drain: envDir, bootId }: DrainJob): Promise<string[]> {
  const hash = await loadHash();
  const table = await openOrCreateTable(envDir);
  const moved: string[] = [];
  try {
    const state = table.state();
    if (state !== null && state.bootId !== bootId) return [];
    for (const name of segmentsOf(envDir)) {
      if (!drainSegment(path.join(envDir, name), table, bootId, hash)) break;
      moved.push(name);
    }
    return moved;
  } finally {
    await table.close();
  }
}

/** Moves one segment. Returns true if all of it is in the table. */
function drainSegment(file: string, table: LinkTable, bootId: string, hash: Hash64): boolean {
  const fd = openSync(file, 'r');
  try {
    const { size } = fstatSync(fd);
    const header = decodeHeader(readPiece(fd, 0, SEGMENT_HEADER_SIZE), hash);
    const lineage = table.state()?.lineage ?? header?.lineage;
    if (header === null || header.bootId !== bootId || header.lineage !== lineage) return false;
    fsyncSync(fd);
    let at = SEGMENT_HEADER_SIZE;
    while (at < size) {
      const end = drainPiece(fd, at, size, { header, table, hash });
      if (end === at) return false;
      at = end;
      failpoint('journal-drained');
    }
    return true;
  } finally {
    closeSync(fd);
  }
}

interface Draining {
  readonly header: SegmentHeader;
  readonly table: LinkTable;
  readonly hash: Hash64;
}

/** Moves what records begin at this place of a segment. Returns where they end. */
function drainPiece(
  fd: number,
  at: number,
  size: number,
  { header, table, hash }: Draining,
): number {
  const state = table.state();
  const from = state?.sequence ?? 0;
  const generation = new Generation();
  const numbers = new Numbers(state?.nextIno ?? PRIVATE_INO_BASE + 1);
  const sink = numbers.seenBy(generationSink(generation));
  for (const length of [PIECE_BYTES, RECORD_MAX]) {
    const bytes = readPiece(fd, at, Math.min(length, size - at));
    const replayed = replaySegment(bytes, header, from, hash, sink, 0);
    if (replayed.at === 0) continue;
    if (replayed.sequence > from) {
      const { lineage, bootId } = header;
      const { sequence } = replayed;
      table.write(() => {
        table.putAll(generation);
        table.putState({ sequence, nextIno: numbers.next, lineage, bootId });
      });
    }
    return at + replayed.at;
  }
  return at;
}

function readPiece(fd: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, readSync(fd, bytes, 0, length, at));
}

/** Learns from changes which number is the next that was never given out. */
class Numbers {
  next: number;

  constructor(next: number) {
    this.next = next;
  }

  seenBy(sink: Change): Change {
    const see = (ino: Ino): void => {
      if (isPrivateIno(ino) && ino >= this.next) this.next = ino + 1;
    };
    return {
      ...sink,
      setInode: (record: InodeRecord) => [see(record.ino), sink.setInode(record)],
      clearInode: (ino: Ino) => [see(ino), sink.clearInode(ino)],
    };
  }
}
