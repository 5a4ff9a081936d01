/**
 * Objects on their way to another machine. Of each: its id (32 bytes), the offset at which it goes on and the number of bytes that follow (u64,
 * little-endian), and so many bytes.
 */
import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import type { ObjectId } from '../../base/ids.ts';
import { writeAt } from '../../store/object-job.ts';
import type { Store } from '../../store/store.ts';
import { ByteSource } from '../templates/tar/byte-source.ts';

const HEAD = 32 + 8 + 8;
const PIECE = 2 ** 20;
const PART = '.part';

/** An object, and how much of it the other side has already. */
export interface WantedObject {
  readonly id: ObjectId;
  readonly from: number;
}

/** Yields objects. @throws ByrefError 'corrupt' for one that is missing here, or too short */
export function* objectStream(store: Store, wanted: Iterable<WantedObject>): Generator<Buffer> {
  let [pieces, bytes] = [[] as Buffer[], 0];
  for (const piece of piecesOf(store, wanted)) {
    pieces.push(piece);
    bytes += piece.length;
    // Many small ones would cost a call each.
    if (bytes < PIECE) continue;
    yield Buffer.concat(pieces);
    [pieces, bytes] = [[], 0];
  }
  if (bytes > 0) yield Buffer.concat(pieces);
}

function* piecesOf(store: Store, wanted: Iterable<WantedObject>): Generator<Buffer> {
  for (const { id, from } of wanted) {
    const fd = store.objects.open(id);
    if (fd < 0) throw isMissing(id);
    try {
      const { size } = fstatSync(fd);
      if (from > size) throw isMissing(id);
      const head = Buffer.alloc(HEAD);
      head.write(id, 0, 'hex');
      head.writeBigUInt64LE(BigInt(from), 32);
      head.writeBigUInt64LE(BigInt(size - from), 40);
      yield head;
      for (let at = from; at < size; ) {
        const piece = Buffer.allocUnsafe(Math.min(PIECE, size - at));
        const length = readSync(fd, piece, 0, piece.length, at);
        if (length === 0) throw isMissing(id);
        yield piece.subarray(0, length);
        at += length;
      }
    } finally {
      closeSync(fd);
    }
  }
}

const isMissing = (id: ObjectId): ByrefError =>
  new ByrefError('corrupt', `the object ${id} can't be read`, 'See: byref fsck --full');

/** A directory in which objects come together, until a version of a template takes them over. */
export class ArrivingObjects {
  private readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /** Returns where an object is that is whole. */
  path = (id: ObjectId): string => path.join(this.directory, id);

  /** Returns which of some objects are not whole yet, and from where on each is wanted. */
  wanted(objects: readonly { readonly id: ObjectId; readonly size: number }[]): WantedObject[] {
    return objects.flatMap(({ id, size }) => {
      if (sizeOf(this.path(id)) === size) return [];
      const has = sizeOf(this.path(id) + PART) ?? 0;
      return [{ id, from: has < size ? has : 0 }];
    });
  }

  /**
   * Takes objects from a stream. Of one in which it ends early, what came stays.
   * @param sizes of those that are expected @throws ByrefError 'badInput' for others, 'corrupt' for one with wrong bytes; what the stream throws
   */
  async take(
    stream: AsyncIterable<Buffer>,
    wanted: readonly WantedObject[],
    sizes: ReadonlyMap<ObjectId, number>,
  ): Promise<void> {
    const source = new ByteSource(stream);
    for (const { id, from } of wanted) {
      const head = await source.read(HEAD);
      const left = sizes.get(id)! - from;
      const isRight =
        head?.toString('hex', 0, 32) === id &&
        head.readBigUInt64LE(32) === BigInt(from) &&
        head.readBigUInt64LE(40) === BigInt(left);
      if (!isRight) throw notAsked();
      await this.takeOne(source, id, from, left);
    }
    if ((await source.some(1)) !== null) throw notAsked();
  }

  private async takeOne(
    source: ByteSource,
    id: ObjectId,
    from: number,
    length: number,
  ): Promise<void> {
    const part = this.path(id) + PART;
    const fd = openSync(part, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    let at = from;
    try {
      ftruncateSync(fd, from);
      const hash = createHash('sha256');
      hashFirst(hash, fd, from);
      for (let left = length; left > 0; ) {
        const piece = await source.some(Math.min(left, PIECE));
        if (piece === null) throw notAsked();
        hash.update(piece);
        writeAt(fd, piece, at, true);
        at += piece.length;
        left -= piece.length;
      }
      if (hash.digest('hex') !== id) {
        at = 0;
        throw new ByrefError('corrupt', `the object ${id} came with other bytes`, 'Send it again.');
      }
    } finally {
      // Zeros at the end were not written; of what was there before, nothing may stay beyond.
      ftruncateSync(fd, at);
      closeSync(fd);
    }
    renameSync(part, this.path(id));
  }

  /** Removes them. */
  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function hashFirst(hash: Hash, fd: number, length: number): void {
  if (length === 0) return;
  const piece = Buffer.allocUnsafe(PIECE);
  for (let at = 0; at < length; ) {
    const n = readSync(fd, piece, 0, Math.min(PIECE, length - at), at);
    if (n === 0) return;
    hash.update(piece.subarray(0, n));
    at += n;
  }
}

function sizeOf(file: string): number | null {
  return statSync(file, { throwIfNoEntry: false })?.size ?? null;
}

const notAsked = (): ByrefError =>
  new ByrefError('badInput', 'the sender sends objects that nobody asked for', 'Use byref move.');
