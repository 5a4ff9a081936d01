import { truncateSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import { type Ino, isPrivateIno, type Name, PRIVATE_INO_BASE } from '../../base/ids.ts';
import { O_CLOEXEC, O_RDWR, S_IFREG } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { AT_FDCWD } from '../../native/binding.ts';
import { openFile } from '../../native/open-file.ts';
import { type NotedSegment, notedSegment } from './env-lock.ts';
import { NameState } from './generation.ts';
import type { Hash64 } from './hash.ts';
import { segmentName } from './layout.ts';
import { keepLost } from './lost-files.ts';
import type { PendingChanges } from './pending-changes.ts';
import type { RecoveryMarks } from './recovery-marks.ts';
import {
  type JournalReplay,
  type ReplaySink,
  replayJournal,
  type SegmentReplay,
} from './replay.ts';
import { Segment } from './segment.ts';
import { syncDirNow } from './sync-dir.ts';
import { isUnsynced, type TableState } from './table-rows.ts';

/** Inos skipped after a crash: those given out for changes that were never committed. */
export const INO_SLACK = 1024;
/** Inos skipped after a power cut: committed changes may be lost, but their numbers were seen. */
const INO_SLACK_BOOT = 2 ** 20;

/** The findings of recovery, besides what it put into memory and the marks. */
export interface Recovered extends JournalReplay {
  readonly nextIno: number;
  /** Copies made in an earlier boot whose bytes were not known to be on disk. */
  readonly lostCopies: ReadonlySet<Ino>;
  /** Files that the journal gave another name, maybe in the place of another file. */
  readonly moved: readonly Ino[];
  /** True if the machine was booted since the delta was last written. */
  readonly booted: boolean;
}

/** Applies replayed mutations to memory, and notes what the later steps need. */
class Replayer implements ReplaySink {
  readonly lostCopies = new Set<Ino>();
  readonly moved = new Set<Ino>();
  nextIno: number;
  booted = false;
  /** Files that the journal names for the first time. */
  readonly #named = new Set<Ino>();
  readonly #tableIno: number;
  #foreign = false;
  readonly #pending: PendingChanges;
  readonly #marks: RecoveryMarks;
  readonly #bootId: string;

  constructor(
    pending: PendingChanges,
    marks: RecoveryMarks,
    bootId: string,
    state: TableState | null,
  ) {
    this.#pending = pending;
    this.#marks = marks;
    this.#bootId = bootId;
    this.nextIno = state?.nextIno ?? PRIVATE_INO_BASE + 1;
    this.#tableIno = this.nextIno;
    if (state !== null) this.boot(state.bootId);
    for (const ino of pending.table?.marked() ?? []) this.#note(ino, pending.table!.inode(ino));
  }

  boot(bootId: string): void {
    this.#foreign = bootId !== this.#bootId;
    this.booted ||= this.#foreign;
  }

  setName(dir: Ino, name: Name, ino: Ino | 0, type: number): void {
    if (ino !== 0 && type === S_IFREG) {
      const isNew = isPrivateIno(ino) && ino >= this.#tableIno && !this.#named.has(ino);
      (isNew ? this.#named : this.moved).add(ino);
    }
    this.#pending.active.setName(new NameState(dir, name, ino, type, true));
  }

  clearName(dir: Ino, name: Name): void {
    this.#pending.active.setName(new NameState(dir, name, 0, 0, false));
  }

  setInode(record: InodeRecord): void {
    this.#pending.active.setInode(record.ino, record);
    this.#note(record.ino, record);
  }

  clearInode(ino: Ino): void {
    this.#pending.active.setInode(ino, null);
    this.#note(ino, null);
  }

  #note(ino: Ino, record: InodeRecord | null): void {
    this.#marks.update(ino, record);
    if (isPrivateIno(ino) && ino >= this.nextIno) this.nextIno = ino + 1;
    if (record !== null && isUnsynced(record) && this.#foreign) this.lostCopies.add(ino);
    else this.lostCopies.delete(ino);
  }
}

/** Reads the journal over the table into memory. Writes nothing. */
export function recover(
  envDir: string,
  pending: PendingChanges,
  marks: RecoveryMarks,
  bootId: string,
  hash: Hash64,
): Recovered {
  // Before the journal is listed: a segment that is noted goes only after there is a later one.
  const noted = notedSegment(envDir);
  const state = pending.table?.state() ?? null;
  const replayer = new Replayer(pending, marks, bootId, state);
  const replay = replayJournal(envDir, state, bootId, hash, replayer);
  const { lostCopies, booted } = replayer;
  const moved = [...replayer.moved];
  const slack = booted ? INO_SLACK_BOOT : INO_SLACK;
  const nextIno = replayer.nextIno + (replay.found ? slack : 0);
  const damage = replay.damage ?? lostJournal(envDir, noted, replay.lastNumber, bootId);
  return { ...replay, damage, nextIno, lostCopies, moved, booted };
}

/** Returns what to say if the journal's last segment is not there, and can't have gone in a crash; else null. */
function lostJournal(
  envDir: string,
  noted: NotedSegment | null,
  lastNumber: number,
  bootId: string,
): string | null {
  if (noted === null || lastNumber >= noted.number) return null;
  if (noted.bootId !== bootId && !noted.synced) return null;
  const segment = path.join(envDir, segmentName(noted.number));
  return `${segment} is gone, or empty: all changes from ${noted.first} on are lost`;
}

/**
 * Cuts off torn ends and removes dead segments. This is on disk before anything new is written, because the
 * sequence numbers of what is cut off will be used again. Of a damaged journal all of it is kept in `lost+found`, too.
 */
export function repairJournal(envDir: string, replay: JournalReplay): void {
  const torn = tornSegments(replay);
  if (replay.damage !== null) keepLost(envDir, [...torn.map((each) => each.path), ...replay.dead]);
  for (const segment of torn) truncateSync(segment.path, segment.length);
  for (const file of replay.dead) unlinkSync(file);
  if (torn.length > 0 || replay.dead.length > 0) syncDirNow(envDir);
}

const tornSegments = ({ segments }: JournalReplay): SegmentReplay[] =>
  segments.filter(({ length, fileLength }) => length < fileLength);

/**
 * True if the journal certainly has all that the env ever appended to it: in one boot, a process that is killed loses nothing of it, and
 * nothing of it is torn or left out.
 */
export const isComplete = (recovered: Recovered): boolean =>
  recovered.damage === null &&
  !recovered.booted &&
  recovered.dead.length === recovered.spent.length &&
  tornSegments(recovered).length === 0;

/** Opens replayed segments, so that a flush can make them durable. */
export function openSegments(segments: readonly SegmentReplay[]): Segment[] {
  return segments.map(({ path, number, header, length }) => {
    const fd = openFile(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) throw new Error(`cannot open ${path}: errno ${-fd}`);
    return new Segment(path, number, header, fd, length);
  });
}
