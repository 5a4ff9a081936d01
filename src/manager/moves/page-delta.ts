/**
 * CRIU's images on their way to another machine, as what differs from images that are there already: most memory of an env is the same a
 * second later. Pages lie one after the other in `pages-N.img`, and a single new one moves all that follow: so a page is looked for behind the one that was found last, then
 * by its hash. Anything that is found is compared byte by byte.
 *
 * The stream is made of pieces: a kind (u8), and
 *
 *     1  file:     length of its name (u16), name. What follows is its content
 *     2  bytes:    count (u32), and so many bytes
 *     3  former:   number of a file of the base (u32), offset (u64), count (u32): bytes of that
 *     0  end
 *
 * Numbers are little-endian; files of the base are numbered in the order of their names.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';

const PAGE = 4096;
/** What is where it is expected is compared in such steps first: mostly, all of a file is as it was. */
const STRIDE = 2 ** 18;
const [END, FILE, BYTES, FORMER] = [0, 1, 2, 3] as const;
/** What is sent in one piece, at most. */
const PIECE_MAX = 2 ** 20;
const NAME = /^[A-Za-z0-9._-]{1,255}$/;

/** Images that the other side has. */
export class BaseImages {
  private readonly files: readonly Buffer[];
  /** By the hash of a page: where it is. */
  private readonly pages = new Map<string, readonly [file: number, page: number]>();

  /** Reads all of them. @param directory null: the other side has none */
  constructor(directory: string | null) {
    const names = directory === null ? [] : namesIn(directory);
    this.files = names.map((name) => readFileSync(path.join(directory!, name)));
    for (const [i, bytes] of this.files.entries())
      for (let page = 0; (page + 1) * PAGE <= bytes.length; page++)
        this.pages.set(hashOf(bytes, page * PAGE), [i, page]);
  }

  /** Returns where a page is; null if it is not there. @param expected where it is looked for first */
  find(bytes: Buffer, at: number, expected: Place | null): Place | null {
    if (expected !== null && this.isAt(bytes, at, expected, PAGE)) return expected;
    if (this.pages.size === 0) return null;
    const [file, page] = this.pages.get(hashOf(bytes, at)) ?? [];
    if (file === undefined || page === undefined) return null;
    const found = { file, offset: page * PAGE };
    return this.isAt(bytes, at, found, PAGE) ? found : null;
  }

  /** True if so many bytes are at that place. */
  isAt(bytes: Buffer, at: number, { file, offset }: Place, count: number): boolean {
    const base = this.files[file]!;
    return (
      offset + count <= base.length &&
      base.compare(bytes, at, at + count, offset, offset + count) === 0
    );
  }
}

interface Place {
  readonly file: number;
  readonly offset: number;
}

const hashOf = (bytes: Buffer, at: number): string =>
  createHash('sha1')
    .update(bytes.subarray(at, at + PAGE))
    .digest('base64');

const namesIn = (directory: string): string[] => readdirSync(directory).sort();

/** Returns the images in a directory as a stream. */
export function* encodeImages(directory: string, base: BaseImages): Generator<Buffer> {
  for (const name of namesIn(directory)) {
    const head = Buffer.from(`\0\0\0${name}`, 'latin1');
    head.writeUInt8(FILE, 0);
    head.writeUInt16LE(name.length, 1);
    yield head;
    yield* encodeFile(readFileSync(path.join(directory, name)), base);
  }
  yield Buffer.of(END);
}

/** Bytes of a file that follow each other here, and in the base if they are there. */
interface Part {
  readonly at: number;
  readonly place: Place | null;
  count: number;
}

function* encodeFile(bytes: Buffer, base: BaseImages): Generator<Buffer> {
  for (const { at, place, count } of partsOf(bytes, base))
    if (place === null) yield* bytePieces(bytes.subarray(at, at + count));
    else yield formerPiece(place, count);
}

function partsOf(bytes: Buffer, base: BaseImages): Part[] {
  const parts: Part[] = [];
  let expected: Place | null = null;
  for (let at = 0, count = 0; at < bytes.length; at += count) {
    const left = bytes.length - at;
    count = Math.min(PAGE, left);
    let place: Place | null = null;
    if (left >= STRIDE && expected !== null && base.isAt(bytes, at, expected, STRIDE)) {
      count = STRIDE;
      place = expected;
    } else if (count === PAGE) place = base.find(bytes, at, expected);
    const last = parts.at(-1);
    const goesOn =
      last !== undefined &&
      (place === null
        ? last.place === null
        : last.place?.file === place.file && last.place.offset + last.count === place.offset);
    if (goesOn) last.count += count;
    else parts.push({ at, place, count });
    // Behind a page that has changed, the others are mostly where they were.
    const here: Place | null = place ?? expected;
    expected = here === null ? null : { file: here.file, offset: here.offset + count };
  }
  return parts;
}

function* bytePieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += PIECE_MAX) {
    const piece = bytes.subarray(at, at + PIECE_MAX);
    const head = Buffer.alloc(5);
    head.writeUInt8(BYTES, 0);
    head.writeUInt32LE(piece.length, 1);
    yield head;
    yield piece;
  }
}

function formerPiece({ file, offset }: Place, count: number): Buffer {
  const piece = Buffer.alloc(17);
  piece.writeUInt8(FORMER, 0);
  piece.writeUInt32LE(file, 1);
  piece.writeBigUInt64LE(BigInt(offset), 5);
  piece.writeUInt32LE(count, 13);
  return piece;
}

/**
 * Makes images of a stream, in a directory that it makes.
 * @param base the images that the sender took for its base; null: none
 * @throws ByrefError 'badInput' for what is no such stream; what the stream throws
 */
export async function decodeImages(
  stream: AsyncIterable<Buffer>,
  directory: string,
  base: string | null,
): Promise<void> {
  mkdirSync(directory, { mode: 0o700 });
  const former = base === null ? [] : namesIn(base).map((name) => path.join(base, name));
  const input = new Pieces(stream);
  let file = -1;
  try {
    for (;;) {
      const kind = (await input.take(1)).readUInt8(0);
      if (kind === END) break;
      if (kind === FILE) {
        if (file >= 0) closeSync(file);
        file = -1;
        const name = (await input.take((await input.take(2)).readUInt16LE(0))).toString('latin1');
        const at = path.join(directory, name);
        if (!NAME.test(name) || name.startsWith('.') || existsSync(at)) throw notThat();
        file = openSync(at, 'wx', 0o600);
      } else if (file < 0) throw notThat();
      else if (kind === BYTES) {
        const count = (await input.take(4)).readUInt32LE(0);
        if (count > PIECE_MAX) throw notThat();
        writeAll(file, await input.take(count));
      } else if (kind === FORMER) {
        const head = await input.take(16);
        const from = former[head.readUInt32LE(0)];
        if (from === undefined) throw notThat();
        copyPart(from, Number(head.readBigUInt64LE(4)), head.readUInt32LE(12), file);
      } else throw notThat();
    }
    if (!(await input.isAtEnd())) throw notThat();
  } finally {
    if (file >= 0) closeSync(file);
  }
}

function copyPart(from: string, offset: number, count: number, to: number): void {
  const fd = openSync(from, 'r');
  try {
    const bytes = Buffer.allocUnsafe(Math.min(count, PIECE_MAX));
    for (let done = 0; done < count; ) {
      const got = readSync(fd, bytes, 0, Math.min(bytes.length, count - done), offset + done);
      if (got === 0) throw notThat();
      writeAll(to, bytes.subarray(0, got));
      done += got;
    }
  } finally {
    closeSync(fd);
  }
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

/** Bytes of a stream, as many as are asked for. */
class Pieces {
  private readonly input: AsyncIterator<Buffer>;
  private pending: Buffer = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Buffer>) {
    this.input = stream[Symbol.asyncIterator]();
  }

  async take(count: number): Promise<Buffer> {
    const pieces = [this.pending];
    let have = this.pending.length;
    while (have < count) {
      const next = await this.input.next();
      if (next.done === true) throw notThat();
      pieces.push(next.value);
      have += next.value.length;
    }
    const all = pieces.length === 1 ? this.pending : Buffer.concat(pieces);
    this.pending = all.subarray(count);
    return all.subarray(0, count);
  }

  async isAtEnd(): Promise<boolean> {
    return this.pending.length === 0 && (await this.input.next()).done === true;
  }
}

const notThat = (): ByrefError =>
  new ByrefError('badInput', 'what came are no images of processes', 'Move the env again.');
