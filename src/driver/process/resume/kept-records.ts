import type { Ino, NodeId } from '../../../base/ids.ts';
import type { Handle } from '../../core/handles.ts';
import type { Inode } from '../../core/inode.ts';
import type {
  BegunRequest,
  LeftRecords,
  NotedInode,
  OpenFile,
  ResumeRecords,
} from '../../core/resume/records.ts';
import { type Row, Rows } from './rows.ts';

const TWO_32 = 2 ** 32;

/** Words of a row in each file. The first word of files and inodes is not 0 if the row holds something. */
const FILE = { words: 16, used: 0, flags: 1, io: 2, backing: 3, node: 4, pid: 6, request: 8 };
const INODE = { words: 16, used: 0, bits: 1, backing: 2, ino: 4, object: 8 };
const REQUEST = { words: 4, request: 0, sequence: 2 };
const OBJECT_WORDS = 8;

const SECOND = 1;
const UPPER = 2;
const MAPPED = 4;
const UNCACHED = 8;
/** The backing id is of the env's own bytes, not of a template's. */
const OWN_BYTES = 16;

/**
 * How many of the last changes are known by their requests. The kernel waits for the answers of fewer, since all that change
 * a directory wait for each other there.
 */
const REQUESTS = 256;

/** The paths of the three files of an env's records. */
export interface RecordFiles {
  readonly files: string;
  readonly inodes: string;
  readonly requests: string;
}

/**
 * Records in memory that is shared with files, so that they outlive this process. A row's first word is stored last, and is
 * taken back first: a row is there as a whole, or not at all.
 */
export class KeptRecords implements ResumeRecords {
  readonly #files: Rows;
  readonly #inodes: Rows;
  readonly #requests: Rows;
  readonly #freePlaces: number[] = [];
  #places = 0;
  #begun = 0;

  /** @param keep true to go on with what another driver left; else all is empty at first */
  constructor(paths: RecordFiles, keep: boolean) {
    const empty = !keep;
    this.#files = new Rows(paths.files, FILE.words, { empty });
    this.#inodes = new Rows(paths.inodes, INODE.words, { empty });
    this.#requests = new Rows(paths.requests, REQUEST.words, { empty });
  }

  /** Returns what an earlier driver left. */
  left(): LeftRecords {
    const inodes = rowsOf(this.#inodes).flatMap((row, place) => {
      const noted = inodeOf(row, place);
      if (place === 0) return [];
      this.#places = place;
      if (noted === null) this.#freePlaces.push(place);
      return noted ?? [];
    });
    const files = rowsOf(this.#files).flatMap((row, fh) => fileOf(row, fh) ?? []);
    const requests = rowsOf(this.#requests).flatMap((row) => requestOf(row) ?? []);
    return { files, inodes, requests };
  }

  opened({ fh, inode, flags, io, backingId, pid, request }: Handle): void {
    if (!this.#files.reach(fh)) return;
    const { words, at } = this.#files.row(fh);
    words[at + FILE.flags] = flags;
    words[at + FILE.io] = io;
    words[at + FILE.backing] = backingId;
    putBig(words, at + FILE.node, inode.node);
    words[at + FILE.pid] = pid;
    putBig(words, at + FILE.request, request);
    Atomics.store(words, at + FILE.used, 1);
  }

  closed(fh: number): void {
    if (!this.#files.reach(fh)) return;
    const { words, at } = this.#files.row(fh);
    Atomics.store(words, at + FILE.used, 0);
  }

  noteInode(inode: Inode): void {
    const bits = bitsOf(inode);
    const backingId = inode.backing?.id ?? 0;
    if (inode.place === 0 && bits === 0 && backingId === 0) return;
    if (inode.place === 0) inode.place = this.#freePlaces.pop() ?? ++this.#places;
    if (!this.#inodes.reach(inode.place)) return;
    const { words, at } = this.#inodes.row(inode.place);
    putBig(words, at + INODE.ino, inode.ino);
    if ((bits & SECOND) !== 0)
      putObject(words, at + INODE.object, inode.first?.record.object ?? '');
    // INVARIANT: in this order. Where only the first one is stored, the bits say that the id is not of the present bytes.
    Atomics.store(words, at + INODE.bits, bits);
    Atomics.store(words, at + INODE.backing, backingId);
    Atomics.store(words, at + INODE.used, 1);
  }

  forgetInode(inode: Inode): void {
    if (this.#inodes.reach(inode.place)) {
      const { words, at } = this.#inodes.row(inode.place);
      Atomics.store(words, at + INODE.used, 0);
    }
    this.#freePlaces.push(inode.place);
    inode.place = 0;
  }

  begins(request: number, sequence: number): void {
    this.#begun = (this.#begun + 1) % REQUESTS;
    const { words, at } = this.#requests.row(this.#begun);
    Atomics.store(words, at + REQUEST.sequence, 0);
    Atomics.store(words, at + REQUEST.sequence + 1, 0);
    putBig(words, at + REQUEST.request, request);
    Atomics.store(words, at + REQUEST.sequence + 1, Math.floor(sequence / TWO_32));
    Atomics.store(words, at + REQUEST.sequence, sequence >>> 0);
  }

  failed(): void {
    const { words, at } = this.#requests.row(this.#begun);
    Atomics.store(words, at + REQUEST.sequence, 0);
    Atomics.store(words, at + REQUEST.sequence + 1, 0);
  }
}

function rowsOf(rows: Rows): Row[] {
  const { found: length } = rows;
  return Array.from({ length }, (_, index) => index).flatMap((index) =>
    rows.reach(index) ? [rows.row(index)] : [],
  );
}

function fileOf({ words, at }: Row, fh: number): OpenFile | null {
  if (words[at + FILE.used] === 0) return null;
  return {
    fh,
    node: bigAt(words, at + FILE.node) as NodeId,
    flags: words[at + FILE.flags]!,
    io: words[at + FILE.io]!,
    backingId: words[at + FILE.backing]!,
    pid: words[at + FILE.pid]!,
    request: bigAt(words, at + FILE.request),
  };
}

function inodeOf({ words, at }: Row, place: number): NotedInode | null {
  if (words[at + INODE.used] === 0) return null;
  const bits = words[at + INODE.bits]!;
  return {
    place,
    ino: bigAt(words, at + INODE.ino) as Ino,
    isSecond: (bits & SECOND) !== 0,
    isUpper: (bits & UPPER) !== 0,
    mayBeMapped: (bits & MAPPED) !== 0,
    wasUncached: (bits & UNCACHED) !== 0,
    isOwnBytes: (bits & OWN_BYTES) !== 0,
    backingId: words[at + INODE.backing]!,
    object: (bits & SECOND) === 0 ? '' : objectAt(words, at + INODE.object),
  };
}

function requestOf({ words, at }: Row): BegunRequest | null {
  const sequence = bigAt(words, at + REQUEST.sequence);
  return sequence === 0 ? null : { request: bigAt(words, at + REQUEST.request), sequence };
}

const bitsOf = (inode: Inode): number =>
  (inode.first === null ? 0 : SECOND) |
  (inode.isUpper ? UPPER : 0) |
  (inode.mayBeMapped ? MAPPED : 0) |
  (inode.wasUncached ? UNCACHED : 0) |
  (inode.backing !== null && inode.isPrivateData ? OWN_BYTES : 0);

function putBig(words: Uint32Array, at: number, value: number): void {
  words[at] = value >>> 0;
  words[at + 1] = Math.floor(value / TWO_32);
}

const bigAt = (words: Uint32Array, at: number): number => words[at + 1]! * TWO_32 + words[at]!;

function putObject(words: Uint32Array, at: number, object: string): void {
  for (let i = 0; i < OBJECT_WORDS; i++)
    words[at + i] = Number.parseInt(object.slice(i * 8, i * 8 + 8) || '0', 16);
}

/** Returns the object's id; '' if there is none. */
function objectAt(words: Uint32Array, at: number): string {
  const hex = Array.from(words.subarray(at, at + OBJECT_WORDS), (word) =>
    word.toString(16).padStart(8, '0'),
  ).join('');
  return /^0*$/.test(hex) ? '' : hex;
}
