/**
 * What a root has of an env that another machine sends, until the env is here: `moves/in/MOVE/`. If the connection ends before, it stays for a
 * while, so that the sender can go on.
 *
 *     note.json    who sends what, which round is held, which one is coming
 *     round        that one's backup, as far as it came
 *     held/        private files of the env as of the last round that came whole
 *     objects/     objects of versions of templates
 *     early/, last/  checkpoints of its processes
 *
 * One process receives it at a time: `moves/in/MOVE.lock`.
 */
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { failpoint } from '../../base/failpoints.ts';
import { PRIVATE_DIR } from '../../driver/delta/layout.ts';
import { removeDelta } from '../../driver/delta/remove-delta.ts';
import { isHeld, LockFile } from '../../native/lock-file.ts';
import { syncFileSystem } from '../../native/sync-file-system.ts';
import { movesDir } from '../../store/root.ts';
import { filesIn, unpackGiven } from '../backup/given-backup.ts';
import { type CheckpointRecord, imagesIn, writeRecord } from '../envs/checkpoint/record.ts';
import { readNote, writeNote } from './note-file.ts';
import { decodeImages } from './page-delta.ts';

const NOTE = 'note.json';
const FORMAT = 1;
/** What nobody goes on with for so long is removed. */
export const KEPT_MS = 3 * 24 * 60 * 60 * 1000;
/** So many moves stand at most; the oldest one goes when another begins. */
const KEPT_MAX = 8;
const MOVE = /^[0-9a-f]{32}$/;
/** Of st_blocks. */
const BLOCK = 512;

/** A round that comes. */
export interface ComingRound {
  /** The name of its backup. */
  readonly id: string;
  readonly base: string | null;
}

/** Who sends what. */
export interface MoveSource {
  /** Of the env, there. */
  readonly env: string;
  /** The name of the machine. */
  readonly from: string;
}

interface Note extends MoveSource {
  readonly held: string | null;
  readonly round: ComingRound | null;
}

const EMPTY: Note = { env: '', from: '', held: null, round: null };

/** The directory of one move. */
export class Incoming {
  readonly path: string;
  private readonly lock: LockFile;
  private note: Note = EMPTY;

  /** @param move 32 hex digits */
  constructor(root: string, move: string) {
    mkdirSync(inDir(root), { recursive: true, mode: 0o700 });
    this.path = path.join(inDir(root), move);
    this.lock = new LockFile(`${this.path}.lock`);
  }

  /** Makes this process the one that receives it; false while another one is. */
  tryLock(): boolean {
    if (!this.lock.try('exclusive')) return false;
    this.lock.sign();
    return true;
  }

  /** Opens it, with what came already. */
  open(source: MoveSource): void {
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
    const note = readNote(path.join(this.path, NOTE));
    const isOurs = note?.['format'] === FORMAT;
    this.note = isOurs ? (note as unknown as Note) : { ...EMPTY, ...source };
    if (!isOurs) this.write();
    this.touch();
  }

  /** False before anything came, and once the env is there. */
  get isThere(): boolean {
    return existsSync(path.join(this.path, NOTE));
  }

  /** Notes that the env is there. What came is of no more use; it takes a while to remove it. */
  finish(): void {
    rmSync(path.join(this.path, NOTE), { force: true });
  }

  /** The name of the round that is held; null: there is none. */
  get held(): string | null {
    return this.note.held;
  }

  /** Where its private files are. */
  get heldDir(): string {
    return path.join(this.path, 'held');
  }

  /** The file of the round that comes. */
  get round(): string {
    return path.join(this.path, 'round');
  }

  get objects(): string {
    return path.join(this.path, 'objects');
  }

  get listing(): string {
    return path.join(this.path, 'listing');
  }

  /** Returns the round that came in part, and how much of it; null if none did. */
  part(): { readonly id: string; readonly bytes: number } | null {
    const { round } = this.note;
    const bytes = statSync(this.round, { throwIfNoEntry: false })?.size ?? 0;
    return round === null ? null : { id: round.id, bytes };
  }

  private get checkpoints(): { readonly early: string; readonly last: string } {
    return { early: path.join(this.path, 'early'), last: path.join(this.path, 'last') };
  }

  /** Removes the checkpoints: the env has gone on elsewhere, and their memory is nobody's business. */
  dropCheckpoints(): void {
    for (const place of Object.values(this.checkpoints))
      rmSync(place, { recursive: true, force: true });
  }

  /** The checkpoint that the env goes on from; null: it begins. */
  get checkpoint(): string | null {
    const { last } = this.checkpoints;
    return existsSync(path.join(last, 'checkpoint.json')) ? last : null;
  }

  /**
   * Takes a checkpoint of the env's processes. @param record what it is of, if it is the last one; null: the last one builds on it
   * @throws ByrefError 'badInput'; what the stream throws
   */
  async receiveProcesses(
    record: CheckpointRecord | null,
    stream: AsyncIterable<Buffer>,
  ): Promise<void> {
    const { early, last } = this.checkpoints;
    const place = record === null ? early : last;
    rmSync(place, { recursive: true, force: true });
    mkdirSync(place, { mode: 0o700 });
    const base = record !== null && existsSync(early) ? imagesIn(early) : null;
    await decodeImages(stream, imagesIn(place), base);
    if (record !== null) writeRecord(place, record);
  }

  /** Forgets what came of rounds. */
  reset(): void {
    this.put({ held: null, round: null });
    rmSync(this.round, { force: true });
    removeDelta(this.heldDir);
  }

  /**
   * Adds bytes to a round, until they end.
   * @param from how many of it are here @throws ByrefError 'badInput' if there are others; what the stream throws
   */
  async receive(round: ComingRound, from: number, stream: AsyncIterable<Buffer>): Promise<void> {
    const part = this.part();
    const goesOn = part?.id === round.id;
    if (from !== (goesOn ? part.bytes : 0))
      throw new ByrefError('badInput', 'the sender goes on at another place', 'Move it again.');
    if (!goesOn) {
      rmSync(this.round, { force: true });
      this.put({ round });
    }
    failpoint('receive-round-begun');
    const fd = openSync(this.round, 'a', 0o600);
    try {
      for await (const bytes of stream)
        for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    } finally {
      closeSync(fd);
    }
    failpoint('receive-round-came');
  }

  /**
   * Takes over the files of the round that came, so that the next one can build on it. On disk when this resolves. Who is killed meanwhile has
   * still the round, and takes it over again.
   * @throws ByrefError 'badInput', 'corrupt', 'noSpace'
   */
  async take(signal: AbortSignal): Promise<void> {
    const { round, held } = this.note;
    const place = path.join(this.path, 'unpacked');
    removeDelta(place);
    mkdirSync(place, { mode: 0o700 });
    const { id, base } = await unpackGiven(this.round, place, signal);
    if (
      round === null ||
      id !== round.id ||
      base !== round.base ||
      (base !== null && base !== held)
    )
      throw new ByrefError('badInput', 'what came is another round', 'Move it again.');
    await this.takeFiles(place);
    failpoint('receive-round-taken');
    const failed = await syncFileSystem(this.path);
    if (failed < 0) throw new Error(`${this.path} can't be put on disk: errno ${-failed}`);
    this.put({ held: id, round: null });
    failpoint('receive-round-held');
    rmSync(this.round, { force: true });
    removeDelta(place);
    this.touch();
  }

  private async takeFiles(place: string): Promise<void> {
    const to = path.join(this.heldDir, PRIVATE_DIR);
    mkdirSync(to, { recursive: true, mode: 0o700 });
    const names = new Set<string>();
    for await (const { name, inBase } of filesIn(place)) {
      if (names.has(name)) throw notWhole(name);
      names.add(name);
      const [from, file] = [path.join(place, PRIVATE_DIR, name), path.join(to, name)];
      if (!inBase) {
        const stat = lstatSync(from, { throwIfNoEntry: false });
        if (stat?.isFile() !== true || stat.nlink !== 1) throw notWhole(name);
        renameSync(from, file);
      } else if (!existsSync(file)) throw notWhole(name);
    }
    for (const name of readdirSync(to)) if (!names.has(name)) rmSync(path.join(to, name));
  }

  private put(change: Partial<Note>): void {
    this.note = { ...this.note, ...change };
    this.write();
  }

  private write(): void {
    writeNote(path.join(this.path, NOTE), { format: FORMAT, ...this.note });
  }

  /** From now on it stays for a while. */
  private touch(): void {
    const now = new Date();
    utimesSync(this.path, now, now);
  }

  /** Removes all of it. */
  remove(): void {
    removeDelta(this.path);
  }

  /** Lets others have it. */
  close(): void {
    if (!existsSync(this.path)) rmSync(`${this.path}.lock`, { force: true });
    this.lock.release();
  }
}

const notWhole = (name: string): ByrefError =>
  new ByrefError(
    'badInput',
    `private/${name} did not come as the file that it was`,
    'Move it again.',
  );

const inDir = (root: string): string => path.join(movesDir(root), 'in');

/** A move of which a part came. */
export interface IncomingMove extends MoveSource {
  readonly move: string;
  /** How much room it takes, in bytes. */
  readonly bytes: number;
  /** When something came last, and when it is removed unless more comes: in milliseconds since the epoch. */
  readonly touchedMs: number;
  readonly expiresMs: number;
  /** True: it is being received. */
  readonly active: boolean;
}

/** Returns what came in part, the oldest first. */
export const incomingMoves = (root: string): IncomingMove[] =>
  standing(root).map((each) => {
    const place = path.join(inDir(root), each.move);
    const { env = '', from = '' } = (readNote(path.join(place, NOTE)) ?? {}) as Partial<Note>;
    return { ...each, env, from, bytes: bytesBelow(place) };
  });

/** Removes what came of a move, unless it is being received. @returns false if it is */
export function removeIncoming(root: string, move: string): boolean {
  const incoming = new Incoming(root, move);
  const isFree = incoming.tryLock();
  if (isFree) incoming.remove();
  incoming.close();
  return isFree;
}

/** Removes what nobody has gone on with for long, and the oldest ones of too many. */
export function sweepIncoming(root: string, now = Date.now(), max = KEPT_MAX): void {
  const moves = standing(root).filter(({ active }) => !active);
  const tooMany = Math.max(0, moves.length - max);
  for (const [i, { move, expiresMs }] of moves.entries())
    if (i < tooMany || expiresMs <= now) removeIncoming(root, move);
  // Of processes that were killed before there was more.
  const locks = namesIn(inDir(root)).filter((name) => name.endsWith('.lock'));
  for (const move of locks.map((name) => name.replace('.lock', '')))
    if (!existsSync(path.join(inDir(root), move))) removeIncoming(root, move);
}

function standing(root: string): Omit<IncomingMove, 'env' | 'from' | 'bytes'>[] {
  const moves = namesIn(inDir(root)).flatMap((move) => {
    const place = path.join(inDir(root), move);
    const stat = MOVE.test(move) ? statSync(place, { throwIfNoEntry: false }) : undefined;
    if (stat === undefined) return [];
    const touchedMs = Math.floor(stat.mtimeMs);
    const active = isHeld(`${place}.lock`, 'exclusive');
    return [{ move, touchedMs, expiresMs: touchedMs + KEPT_MS, active }];
  });
  return moves.sort((a, b) => a.touchedMs - b.touchedMs);
}

const namesIn = (directory: string): string[] =>
  existsSync(directory) ? readdirSync(directory) : [];

/** Returns how much room files take. They may come and go meanwhile. */
function bytesBelow(directory: string): number {
  let bytes = 0;
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
      const file = path.join(entry.parentPath, entry.name);
      if (entry.isFile())
        bytes += (lstatSync(file, { throwIfNoEntry: false })?.blocks ?? 0) * BLOCK;
    }
  } catch {
    // It is gone by now.
  }
  return bytes;
}
