import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { ENOSPC, isFull } from '../../base/errno.ts';
import { failpoint, failpointError } from '../../base/failpoints.ts';
import { AT_FDCWD, native } from '../../native/binding.ts';
import type { Hash64 } from './hash.ts';
import type { SegmentHeader } from './journal-format.ts';
import type { RecordWriter } from './record-writer.ts';
import type { Room } from './room.ts';
import { type Need, Segment, SPARE_BYTES } from './segment.ts';
import { SpareSegment } from './spare-segment.ts';
import { openDir, syncDirNow } from './sync-dir.ts';

/** The state in which recovery, or an empty env, leaves the journal. */
export interface JournalStart {
  readonly dir: string;
  readonly lineage: bigint;
  readonly bootId: string;
  /** The last committed change; 0 if none. */
  readonly sequence: number;
  /** The last change up to which everything is on disk. */
  readonly durable: number;
  /** Segments with replayed records, oldest first; nothing is appended to them. */
  readonly segments: readonly Segment[];
  /** Segments with nothing that the link table does not have. */
  readonly spent: readonly Segment[];
  readonly nextNumber: number;
  /** Hears of each new segment, and when it is on disk: see EnvLock. */
  readonly notes: SegmentNotes;
  /** What the env has set aside for a full disk. */
  readonly room: Room;
}

/** Keeps in mind, outside of the journal, which segment is its last one. */
export interface SegmentNotes {
  noteSegment(segment: { readonly number: number; readonly first: number }): void;
  noteSynced(number: number): void;
}

/** The most that a record takes in the link table, for each of its bytes in the journal: pages there are filled by half. */
const TABLE_FACTOR = 2;
/** A checkpoint writes each page that it changes to another place: some changes at a time need at most this. */
const TABLE_MIN = 160 * 1024;
/** A segment with more bytes is not all that an env will write. */
const ROOM_FROM = 16 * 1024;
/** More is set aside in steps of this. */
const ROOM_STEP = 64 * 1024;

/** No directory has to be synced. */
export const NO_DIR = -1000;

/** One segment of a journal at some moment. */
export interface JournalFile {
  /** Its name in the env's directory. */
  readonly name: string;
  /** How many bytes of it hold the header and whole records. */
  readonly length: number;
}

/**
 * The journal of one env: segments, oldest first. The last one may be `active` and take records; those before it
 * wait for the checkpoint that makes them superfluous. An env that changes nothing has no segment at all.
 */
export class Journal {
  readonly #start: JournalStart;
  readonly #hash: Hash64;
  readonly #spare: SpareSegment;
  #segments: Segment[];
  #active: Segment | null = null;
  #nextNumber: number;
  #sequence: number;
  #durable: number;
  /** True while space is set aside beyond that of the segment: for an env that is used, and not just opened, changed and closed. */
  #keepsRoom = false;
  /** True if there was no space for what should be set aside. */
  #isWithoutRoom = false;

  constructor(start: JournalStart, hash: Hash64) {
    this.#start = start;
    this.#hash = hash;
    this.#spare = new SpareSegment(start.dir, SPARE_BYTES);
    this.#segments = [...start.segments, ...start.spent].sort((a, b) => a.number - b.number);
    this.#nextNumber = start.nextNumber;
    this.#sequence = start.sequence;
    this.#durable = start.durable;
  }

  /** The sequence number of the last committed change. */
  get sequence(): number {
    return this.#sequence;
  }

  /** The last change up to which everything survives a power cut. */
  get durable(): number {
    return this.#durable;
  }

  /** True if little of its reserve is left, and only a checkpoint can make more. */
  get isShort(): boolean {
    return this.#active?.isShort ?? false;
  }

  /** The length of the segment that takes records now, in bytes. */
  get activeBytes(): number {
    return this.#active?.length ?? 0;
  }

  /** The segments as they are now, oldest first. */
  get files(): readonly JournalFile[] {
    return this.#segments.map((segment) => ({
      name: path.basename(segment.path),
      length: segment.length,
    }));
  }

  /** True if it has segments of the last holder. */
  get isLeft(): boolean {
    return this.#start.segments.some((segment) => this.#segments.includes(segment));
  }

  get lineage(): bigint {
    return this.#start.lineage;
  }

  get bootId(): string {
    return this.#start.bootId;
  }

  /**
   * Appends the writer's record with the next sequence number. Returns 0 or -errno.
   * @param need see Segment.append()
   */
  append(writer: RecordWriter, need: () => Need): number {
    const active = this.#active ?? this.#open(need);
    if (typeof active === 'number') return active;
    this.#keepsRoom ||= active.length > ROOM_FROM;
    if (!this.#isWithoutRoom || need() === 'adds') this.#keepRoom();
    if (this.#isWithoutRoom && need() === 'adds') return -ENOSPC;
    const sequence = this.#sequence + 1;
    const length = writer.finish(sequence, sequence - this.#durable, active.header.seed);
    // The room comes first: without it no checkpoint can make more.
    const failed = active.append(writer.buffer, length, need, !this.#isWithoutRoom);
    if (failed === 0) this.#sequence = sequence;
    return failed;
  }

  /** Sees to it that all records so far can be moved into the link table on a full disk, too. */
  #keepRoom(): void {
    if (!this.#keepsRoom) return;
    const bytes = this.#segments.reduce((sum, { length }) => sum + length, 0);
    const wanted = TABLE_MIN + TABLE_FACTOR * bytes;
    const { room } = this.#start;
    this.#spare.keep();
    if (room.bytes < wanted) room.keep(wanted + ROOM_STEP);
    this.#isWithoutRoom = room.bytes < wanted || !this.#spare.isThere;
  }

  #open(need: () => Need): Segment | number {
    const header = {
      firstSequence: this.#sequence + 1,
      seed: randomBytes(8).readBigUInt64LE(),
      lineage: this.#start.lineage,
      bootId: this.#start.bootId,
    };
    const segment = this.#create(header, need);
    if (typeof segment === 'number') return segment;
    this.#start.notes.noteSegment({ number: segment.number, first: header.firstSequence });
    this.#nextNumber++;
    this.#active = segment;
    this.#segments.push(segment);
    return segment;
  }

  /** Creates a segment; on a full disk with what is set aside, unless that is for a change that `adds`. */
  #create(header: SegmentHeader, need: () => Need): Segment | number {
    const { dir, room } = this.#start;
    const create = (spare: SpareSegment | null) =>
      Segment.create(dir, this.#nextNumber, header, this.#hash, spare);
    const created = create(null);
    if (typeof created !== 'number' || !isFull(created) || need() === 'adds') return created;
    if (!this.#spare.isThere && room.giveShared(2 * SPARE_BYTES)) this.#spare.keep();
    return create(this.#spare);
  }

  /**
   * Ends the active segment. Returns all segments so far, or -errno if there is no room for another. Later records
   * go to a new segment, which is made here, so that even on a full disk there is one.
   */
  freeze(): readonly Segment[] | number {
    const frozen = [...this.#segments];
    const opened = this.#open(() => 'frees');
    return typeof opened === 'number' ? opened : frozen;
  }

  /** Opens what sync() needs. Returns a descriptor of the env's directory, NO_DIR, or -errno. */
  openDir(): number {
    if (this.#segments.every((segment) => segment.entrySynced)) return NO_DIR;
    return failpointError('journal-dir') || openDir(this.#start.dir);
  }

  /**
   * Makes everything committed until now survive a power cut. Resolves to 0 or -errno. Runs one pass at a time:
   * see Flusher. All segments are synced before `durable` moves, so it never passes a gap.
   * @param dir what openDir() returned just before; the caller closes it
   */
  async sync(dir: number): Promise<number> {
    const target = this.#sequence;
    const waiting = this.#segments.filter((segment) => !segment.synced);
    const results = await Promise.all(waiting.map((segment) => segment.sync()));
    const failed = results.find((result) => result < 0);
    if (failed !== undefined) return failed;
    const fresh = waiting.filter((segment) => !segment.entrySynced);
    if (fresh.length > 0) {
      const linked = await native.fsyncAsync(dir, false);
      if (linked < 0) return linked;
      for (const segment of fresh) this.#noteSynced(segment);
    }
    failpoint('journal-synced');
    this.#durable = Math.max(this.#durable, target);
    return 0;
  }

  /** Does what sync() does, but waits for the disk: for an operation that found it full. */
  syncNow(): number {
    for (const segment of this.#segments) {
      const failed = segment.synced ? 0 : segment.syncNow();
      if (failed < 0) return failed;
    }
    const linked = this.#segments.every((segment) => segment.entrySynced)
      ? 0
      : syncDirNow(this.#start.dir);
    if (linked < 0) return linked;
    for (const segment of this.#segments) this.#noteSynced(segment);
    this.#durable = this.#sequence;
    return 0;
  }

  #noteSynced(segment: Segment): void {
    segment.entrySynced = true;
    this.#start.notes.noteSynced(segment.number);
  }

  /** Sets space aside for a full disk from now on, or no more: a file system soon is full, or the env is to be closed. */
  setsAside(does: boolean): void {
    this.#keepsRoom = does;
    this.#keepRoom();
  }

  /** Removes segments whose records are all in the link table, and sets aside again what that took. */
  drop(segments: readonly Segment[]): void {
    this.#remove(segments, this.#keepsRoom);
    this.#start.room.shrink(TABLE_MIN + ROOM_STEP);
    this.#keepRoom();
  }

  #remove(segments: readonly Segment[], keepsSpare = false): void {
    for (const segment of segments) {
      // Oldest first, so that what a crash leaves has no gap.
      failpoint('segment-drop');
      const isKept = keepsSpare && !this.#spare.isThere && this.#spare.takeFrom(segment.path);
      if (!isKept) native.unlinkAt(AT_FDCWD, segment.path, 0);
      segment.close();
    }
    this.#segments = this.#segments.filter((segment) => !segments.includes(segment));
  }

  /**
   * Closes all segments. @param clean nothing is to be recovered: then those without records, and those that were spent, are
   * removed, so that recovery has nothing to look at
   */
  close(clean: boolean): void {
    const { spent } = this.#start;
    if (clean) {
      this.#remove(this.#segments.filter((each) => each.empty || spent.includes(each)));
      this.#start.room.remove();
      this.#spare.remove();
    }
    for (const segment of this.#segments) segment.close();
    this.#segments = [];
    this.#active = null;
  }
}
