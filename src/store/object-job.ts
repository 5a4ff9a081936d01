/**
 * Turns bytes into an object that is not published yet: hashes them, and writes them to `tmp/` unless the store
 * has them. It is synchronous: it runs in the import's own thread for a few small files, and in worker threads
 * for many (object-pool.ts). Holes of large files are neither read nor written.
 */
import { createHash, type Hash, hash } from 'node:crypto';
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { dataRanges } from '../native/data-ranges.ts';

/** A job for bytes in memory. */
export interface BytesJob {
  readonly kind: 'bytes';
  readonly content: Uint8Array;
}
/** A job for a file outside the store, which is left as it is. */
export interface FileJob {
  readonly kind: 'file';
  readonly path: Uint8Array;
}
/** A job for a file that was already written to `tmp/` under this name. */
export interface AdoptJob {
  readonly kind: 'adopt';
  readonly temp: string;
}
/** A piece of content that is to become an object. */
export type ObjectJob = BytesJob | FileJob | AdoptJob;

/** The object that a job made or found. */
export interface ObjectResult {
  /** SHA-256, 64 hex digits. */
  readonly id: string;
  /** How many bytes were hashed. */
  readonly size: number;
  /** Its name in `tmp/`, or null if the store has this object already. */
  readonly temp: string | null;
  /** True if what the store has under its name is damaged, so that `temp` is to take its place. */
  readonly replaces?: boolean;
}

/** Whether objects that the store has already are read, to see if they are damaged: all, or those that are known to be. */
export type Distrust = 'all' | ReadonlySet<string>;

/** The directories of a thread's jobs, and the names in `tmp/` that it may use: `<prefix><number>`. */
export interface JobPlace {
  readonly objects: string;
  readonly tmp: string;
  readonly prefix: string;
  readonly distrust: Distrust;
}

/** Files up to here are read whole and then hashed; larger ones pass through a buffer of this size. */
const WHOLE_MAX = 4 * 2 ** 20;
/** Blocks of zeros of this size are left out of sparse files. */
const HOLE = 4096;
const ZEROS = Buffer.alloc(2 ** 20);
/** The mode of every object: it never changes, and only root reads the store. */
export const OBJECT_MODE = 0o400;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;

type Found = 'missing' | 'damaged' | 'sound';

/** Runs jobs one after the other, in the thread that calls it. */
export class ObjectJobs {
  private readonly place: JobPlace;
  private count = 0;
  private readonly buffer = Buffer.allocUnsafe(WHOLE_MAX);
  /** For the bytes of an object that the store has; made when it is first needed. */
  private other: Buffer | null = null;
  private canClone = true;

  constructor(place: JobPlace) {
    this.place = place;
  }

  run(job: ObjectJob): ObjectResult {
    if (job.kind === 'bytes') return this.storeBytes(job.content, false);
    return job.kind === 'file' ? this.storeFile(Buffer.from(job.path)) : this.adopt(job.temp);
  }

  /** Returns a new name in `tmp/`. */
  private nextTemp(): string {
    this.count++;
    return `${this.place.prefix}${this.count}`;
  }

  private tempPath(temp: string): string {
    return path.join(this.place.tmp, temp);
  }

  /**
   * Looks an object up in the store. It is damaged if it is no regular file of that size; its bytes are compared where they
   * are distrusted.
   * @param content its bytes, if they are in memory
   */
  private find(id: string, size: number, content: Uint8Array | null): Found {
    const file = path.join(this.place.objects, id.slice(0, 2), id.slice(2));
    const found = lstatSync(file, { throwIfNoEntry: false });
    if (found === undefined) return 'missing';
    if (!found.isFile() || found.size !== size) return 'damaged';
    const { distrust } = this.place;
    if (distrust !== 'all' && !distrust.has(id)) return 'sound';
    return this.isSound(file, id, content) ? 'sound' : 'damaged';
  }

  private isSound(file: string, id: string, content: Uint8Array | null): boolean {
    try {
      const fd = openSync(file, READ);
      try {
        if (content === null) return this.hashFile(fd).id === id;
        this.other ??= Buffer.allocUnsafe(WHOLE_MAX);
        const length = readFull(fd, this.other.subarray(0, content.length), 0);
        return this.other.compare(content, 0, content.length, 0, length) === 0;
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      // The disk can't read it any more.
      if ((error as NodeJS.ErrnoException).code === 'EIO') return false;
      throw error;
    }
  }

  private storeBytes(content: Uint8Array, sparse: boolean): ObjectResult {
    const size = content.length;
    const id = hash('sha256', content, 'hex');
    const found = this.find(id, size, content.length <= WHOLE_MAX ? content : null);
    if (found === 'sound') return { id, size, temp: null };
    const temp = this.nextTemp();
    const fd = openSync(this.tempPath(temp), NEW_FILE, OBJECT_MODE);
    try {
      writeAt(fd, content, 0, sparse);
      if (sparse) ftruncateSync(fd, size);
    } finally {
      closeSync(fd);
    }
    return { id, size, temp, replaces: found === 'damaged' };
  }

  private storeFile(source: Buffer): ObjectResult {
    const fd = openSync(source, READ);
    try {
      const { size, blocks } = fstatSync(fd);
      const sparse = blocks * 512 < size;
      if (size >= WHOLE_MAX) return this.storeLarge(fd, sparse);
      const length = readFull(fd, this.buffer, 0);
      return this.storeBytes(this.buffer.subarray(0, length), sparse);
    } finally {
      closeSync(fd);
    }
  }

  /**
   * Stores a large file. A new one is read twice, but none is written in vain: the store has most large files
   * already.
   */
  private storeLarge(fd: number, sparse: boolean): ObjectResult {
    const seen = this.hashFile(fd);
    const found = this.find(seen.id, seen.size, null);
    if (found === 'sound') return { ...seen, temp: null };
    const temp = this.nextTemp();
    if (this.clone(fd, temp)) return this.adopt(temp);
    const out = openSync(this.tempPath(temp), NEW_FILE, OBJECT_MODE);
    try {
      // Hashed again: the source may have changed since, and an object's name must be right.
      const copied = this.hashFile(fd, (block, at) => writeAt(out, block, at, sparse));
      ftruncateSync(out, copied.size);
      return { ...copied, temp, replaces: found === 'damaged' && copied.id === seen.id };
    } finally {
      closeSync(out);
    }
  }

  /**
   * Hashes the file at its present length.
   * @param each gets the data between holes, in pieces with their offset
   * @returns the size that was hashed with the hash: less, if the file is truncated meanwhile
   */
  private hashFile(
    fd: number,
    each?: (block: Buffer, at: number) => void,
  ): { id: string; size: number } {
    const hasher: Hash = createHash('sha256');
    const { size } = fstatSync(fd);
    let at = 0;
    for (const [begin, end] of dataRanges(fd, size)) {
      hashZeros(hasher, begin - at);
      for (at = begin; at < end; ) {
        const block = this.buffer.subarray(0, Math.min(this.buffer.length, end - at));
        const length = readFull(fd, block, at);
        if (length === 0) return { id: hasher.digest('hex'), size: at };
        hasher.update(block.subarray(0, length));
        each?.(block.subarray(0, length), at);
        at += length;
      }
    }
    hashZeros(hasher, size - at);
    return { id: hasher.digest('hex'), size };
  }

  /** Makes a reflink, if source and store are on one file system that supports it; false if not. */
  private clone(fd: number, temp: string): boolean {
    if (!this.canClone) return false;
    try {
      copyFileSync(`/proc/self/fd/${fd}`, this.tempPath(temp), constants.COPYFILE_FICLONE_FORCE);
      return true;
    } catch {
      this.canClone = false;
      if (existsSync(this.tempPath(temp))) unlinkSync(this.tempPath(temp));
      return false;
    }
  }

  private adopt(temp: string): ObjectResult {
    const fd = openSync(this.tempPath(temp), READ);
    try {
      const { id, size } = this.hashFile(fd);
      fchmodSync(fd, OBJECT_MODE);
      const found = this.find(id, size, null);
      if (found !== 'sound') return { id, size, temp, replaces: found === 'damaged' };
      unlinkSync(this.tempPath(temp));
      return { id, size, temp: null };
    } finally {
      closeSync(fd);
    }
  }
}

function hashZeros(hasher: Hash, count: number): void {
  for (let left = count; left > 0; left -= ZEROS.length) {
    hasher.update(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS);
  }
}

/** Fills `buffer` from offset `position` of the file; returns how many bytes there were. */
function readFull(fd: number, buffer: Buffer, position: number): number {
  let length = 0;
  while (length < buffer.length) {
    const n = readSync(fd, buffer, length, buffer.length - length, position + length);
    if (n === 0) break;
    length += n;
  }
  return length;
}

/** Writes the block; if `sparse`, leaves out aligned pages of zeros (the caller sets the size). */
export function writeAt(fd: number, block: Uint8Array, position: number, sparse: boolean): void {
  if (!sparse) {
    writeFull(fd, block, position);
    return;
  }
  for (let at = 0; at < block.length; at += HOLE) {
    const page = block.subarray(at, at + HOLE);
    if (ZEROS.compare(page, 0, page.length, 0, page.length) !== 0) {
      writeFull(fd, page, position + at);
    }
  }
}

function writeFull(fd: number, block: Uint8Array, position: number): void {
  for (let at = 0; at < block.length; ) {
    at += writeSync(fd, block, at, block.length - at, position + at);
  }
}
