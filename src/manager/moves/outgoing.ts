/**
 * What a root keeps of an env's move to another machine until it is done: `moves/out/ENV/`. So a move that is interrupted goes on where it stopped.
 *
 *     move.json    what move it is, what the other side has, and what `round` is once that is whole
 *     round        the backup that is being sent
 *     listing      the same of a version of a template
 *     early, last  checkpoints of its processes
 *
 * One command works on it at a time: `moves/out/ENV.lock`.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { failpoint } from '../../base/failpoints.ts';
import { LockFile } from '../../native/lock-file.ts';
import { movesDir } from '../../store/root.ts';
import { type BaseBackup, baseOf } from '../backup/base-backup.ts';
import type { Seen } from '../envs/copy-private.ts';
import { readNote, writeNote } from './note-file.ts';

const NOTE = 'move.json';
const FORMAT = 1;

/** What a round was made of: the next one builds on it. */
export interface RoundFiles {
  /** The name of its backup. */
  readonly id: string;
  readonly trustedMs: number | null;
  readonly seen: ReadonlyMap<string, Seen>;
}

/** A round that is whole here, and that the other side may not have yet. */
export interface PendingRound extends RoundFiles {
  /** The round that it builds on. */
  readonly base: string | null;
  /** What the env was that stood still for it; null: it went on. While it is that, no further round is needed. */
  readonly stamp: string | null;
}

/** What a move is. */
export interface MoveFacts {
  /** Random, 32 hex digits. */
  readonly move: string;
  readonly host: string;
  /** The name of the env there. */
  readonly name: string;
  readonly keep: boolean;
  readonly warm: boolean;
  /** True: its programs go along. */
  readonly live?: boolean;
  /** True: the env ran when the move began, and is to run there. */
  readonly ran: boolean;
}

type StoredRound<T> = Omit<T, 'seen'> & {
  readonly files: readonly (readonly [name: string, ino: number, ctime: number, ctimeNs: number])[];
};

/** The directory of one env's move. */
export class Outgoing {
  readonly path: string;
  /** What the other side has of the env. */
  held: RoundFiles | null = null;
  pending: PendingRound | null = null;
  private current: MoveFacts | null = null;
  private readonly lock: LockFile;

  private constructor(root: string, env: number) {
    mkdirSync(outDir(root), { recursive: true, mode: 0o700 });
    this.path = path.join(outDir(root), String(env));
    this.lock = new LockFile(`${this.path}.lock`);
  }

  /** Opens it, with what there is of an earlier move. @throws ByrefError 'busy' if the env is being moved already */
  static open(root: string, env: { readonly id: number; readonly name: string }): Outgoing {
    const outgoing = new Outgoing(root, env.id);
    if (!outgoing.lock.try('exclusive')) {
      outgoing.lock.release();
      const hint = 'Wait for its end. byref operation list shows it if the daemon does it.';
      throw new ByrefError('busy', `${env.name} is being moved already`, hint);
    }
    outgoing.lock.sign();
    outgoing.read();
    return outgoing;
  }

  /** The move that was interrupted, or is under way; null: there is none. */
  get facts(): MoveFacts | null {
    return this.current;
  }

  get round(): string {
    return path.join(this.path, 'round');
  }

  get listing(): string {
    return path.join(this.path, 'listing');
  }

  /** Where its processes are put: before they are to stand still, and when they do. */
  checkpoint(which: 'early' | 'last'): string {
    return path.join(this.path, which);
  }

  /** Removes the checkpoints: the env has gone on, and their memory is nobody's business. */
  dropCheckpoints(): void {
    for (const which of ['early', 'last'] as const)
      rmSync(this.checkpoint(which), { recursive: true, force: true });
  }

  /** Begins a move, and forgets what there was of an earlier one. */
  begin(facts: MoveFacts): void {
    this.clear();
    mkdirSync(this.path, { mode: 0o700 });
    this.current = facts;
    this.write();
  }

  /** Notes that `round` is whole. */
  notePending(round: PendingRound | null): void {
    this.pending = round;
    this.write();
    failpoint('move-round-noted');
  }

  /** Notes what the other side has. */
  noteHeld(round: RoundFiles | null): void {
    this.held = round;
    this.pending = null;
    this.write();
    failpoint('move-round-held');
    rmSync(this.round, { force: true });
  }

  /** Notes that the other side has no round, whatever it had. What is pending is of use if it builds on none. */
  noteLost(): void {
    if (this.pending?.base === null) {
      this.held = null;
      this.write();
    } else this.noteHeld(null);
  }

  /** The base of the next round; null: it is to be whole. */
  base(): BaseBackup | null {
    const { held } = this;
    return held === null ? null : baseOf(held.id, held.seen, held.trustedMs);
  }

  /** Removes all that was kept. */
  clear(): void {
    rmSync(this.path, { recursive: true, force: true });
    this.current = this.held = this.pending = null;
  }

  /** Lets others have it. */
  close(): void {
    if (!existsSync(this.path)) rmSync(`${this.path}.lock`, { force: true });
    this.lock.release();
  }

  private read(): void {
    const note = readNote(path.join(this.path, NOTE));
    if (note === null || note['format'] !== FORMAT) return;
    this.current = note['facts'] as MoveFacts;
    this.held = fromStored(note['held'] as StoredRound<RoundFiles> | null);
    const pending = fromStored(note['pending'] as StoredRound<PendingRound> | null);
    this.pending = existsSync(this.round) ? pending : null;
  }

  private write(): void {
    const { current: facts, held, pending } = this;
    const note = { format: FORMAT, facts, held: toStored(held), pending: toStored(pending) };
    writeNote(path.join(this.path, NOTE), note);
  }
}

function toStored<T extends RoundFiles>(round: T | null): StoredRound<T> | null {
  if (round === null) return null;
  const { seen, ...others } = round;
  const files = [...seen].map(
    ([name, { ino, ctime, ctimeNs }]) => [name, ino, ctime, ctimeNs] as const,
  );
  return { ...others, files };
}

function fromStored<T extends RoundFiles>(round: StoredRound<T> | null): T | null {
  if (round === null) return null;
  const { files, ...others } = round;
  const seen = files.map(([name, ino, ctime, ctimeNs]) => [name, { ino, ctime, ctimeNs }] as const);
  return { ...others, seen: new Map(seen) } as unknown as T;
}

const outDir = (root: string): string => path.join(movesDir(root), 'out');

/** Removes what is kept of envs that are gone. @param isThere tells whether an env is there */
export function sweepOutgoing(root: string, isThere: (env: number) => boolean): void {
  for (const name of namesIn(outDir(root))) {
    const env = Number(name.replace('.lock', ''));
    if (isThere(env)) continue;
    const place = path.join(outDir(root), String(env));
    const lock = new LockFile(`${place}.lock`);
    if (lock.try('exclusive')) {
      rmSync(place, { recursive: true, force: true });
      rmSync(`${place}.lock`, { force: true });
    }
    lock.release();
  }
}

function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}
