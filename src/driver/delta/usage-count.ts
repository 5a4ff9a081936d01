import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Ino, isPrivateIno } from '../../base/ids.ts';
import { BLOCK_BYTES } from '../../codec/inode-record.ts';
import type { PrivateUsage } from '../core/ports.ts';
import type { VolumesCount } from './volumes-count.ts';

/** Files looked at before other work gets a turn: a stat takes 2 us and more. */
const SLICE = 256;
/**
 * How often files that were written to are looked at again, and how many times: the file system below allocates blocks
 * of its own for a file's map only when it writes the bytes back, which Linux does within 35 s.
 */
const LOOK_AGAIN_MS = 5000;
const LOOKS = 8;

/** The parts of a delta whose private data is counted. */
export interface Counted {
  /** Lists the inos that have a private file which is not waiting for its removal. */
  files(): readonly Ino[];
  /** Returns the st_blocks of a private file, or -errno. `fd` is open on it, or -1. */
  blocks(ino: Ino, fd: number): number;
  /** Returns the number of inodes that the env made. */
  ownInodes(): number;
  leavingBlocks(): number;
  readonly orphans: ReadonlySet<Ino>;
  /** Makes everything durable, and waits until removed files are off the disk. */
  quiesce(): Promise<unknown>;
}

/**
 * Counts what an env's private data takes, from what is on disk when it starts, and then from each change. Only envs
 * with a limit are counted: it takes some 60 bytes of memory for each private file.
 */
export class UsageCount implements PrivateUsage {
  readonly #counted: Counted;
  readonly #volumes: VolumesCount;
  /** st_blocks of each private file, as they were last seen; null while nothing is counted. */
  #files: Map<Ino, number> | null = null;
  #blocks = 0;
  /** Files of the templates that have a private copy. */
  #copies = 0;
  #ownInodes = 0;
  /** Files that were written to lately, with how often each is still to be looked at. */
  readonly #recent = new Map<Ino, number>();
  #timer: NodeJS.Timeout | null = null;
  #starting: Promise<void> | null = null;

  constructor(counted: Counted, volumes: VolumesCount) {
    this.#counted = counted;
    this.#volumes = volumes;
  }

  get isCounting(): boolean {
    return this.#files !== null;
  }

  get bytes(): number {
    return this.#blocks * BLOCK_BYTES + this.#volumes.bytes;
  }

  get inodes(): number {
    return this.#ownInodes + this.#copies;
  }

  get leavingBytes(): number {
    return this.#counted.leavingBlocks() * BLOCK_BYTES;
  }

  get orphans(): ReadonlySet<Ino> {
    return this.#counted.orphans;
  }

  bytesOf(ino: Ino): number {
    return (this.#files?.get(ino) ?? 0) * BLOCK_BYTES;
  }

  start(): Promise<void> {
    if (this.#files === null) {
      const files = new Map<Ino, number>();
      this.#files = files;
      this.#ownInodes = this.#counted.ownInodes();
      this.#volumes.start();
      this.#starting = this.#countFiles(files);
    }
    return this.#starting ?? Promise.resolve();
  }

  /** What changes meanwhile is counted by the change: looking at a file twice does no harm. */
  async #countFiles(files: Map<Ino, number>): Promise<void> {
    for (const [i, ino] of this.#counted.files().entries()) {
      if (i % SLICE === SLICE - 1) await nextTurn();
      if (this.#files !== files) return;
      if (!files.has(ino)) this.#look(ino, -1);
    }
  }

  stop(): void {
    this.#files = null;
    this.#starting = null;
    this.#blocks = 0;
    this.#copies = 0;
    this.#recent.clear();
    this.#volumes.stop();
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Notes a new private file. */
  made(ino: Ino): void {
    if (this.#files !== null) this.#look(ino, -1);
  }

  update(ino: Ino, fd: number): void {
    if (this.#files === null) return;
    this.#look(ino, fd);
    this.#recent.set(ino, LOOKS);
    this.#timer ??= setInterval(() => void this.#lookAgain(), LOOK_AGAIN_MS).unref();
  }

  /** Notes that a private file is no longer the env's, though its removal may still be waiting. */
  removed(ino: Ino): void {
    const blocks = this.#files?.get(ino);
    if (blocks === undefined) return;
    this.#files?.delete(ino);
    this.#recent.delete(ino);
    this.#blocks -= blocks;
    if (!isPrivateIno(ino)) this.#copies--;
  }

  /** Notes that an inode got its first record, or lost its record. */
  recorded(ino: Ino, was: boolean, is: boolean): void {
    if (was !== is && isPrivateIno(ino)) this.#ownInodes += is ? 1 : -1;
  }

  async settle(): Promise<void> {
    if (this.leavingBytes > 0) await this.#counted.quiesce();
  }

  #look(ino: Ino, fd: number): void {
    const files = this.#files;
    const now = this.#counted.blocks(ino, fd);
    if (files === null || now < 0) return;
    const before = files.get(ino);
    if (before === undefined && !isPrivateIno(ino)) this.#copies++;
    files.set(ino, now);
    this.#blocks += now - (before ?? 0);
  }

  async #lookAgain(): Promise<void> {
    let left = SLICE;
    // An entry that is set again keeps its place, so the loop ends.
    for (const [ino, looks] of this.#recent) {
      if (--left === 0) {
        left = SLICE;
        await nextTurn();
        if (!this.#recent.has(ino)) continue;
      }
      this.#look(ino, -1);
      if (looks > 1) this.#recent.set(ino, looks - 1);
      else this.#recent.delete(ino);
    }
    if (this.#recent.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}
