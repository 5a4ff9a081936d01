/**
 * Adds objects to the store, in three steps, so that an import is all or nothing:
 *
 *   add...()   hashes and writes to a directory in objects/tmp, in parallel; nobody sees it
 *   publish()  syncs, renames into place; still nothing refers to it
 *   (the caller commits the rows that do, with ObjectFiles.addRefs, as the store's writer)
 *   settle()   after the commit; or discard() if it, or anything before, failed
 *
 * Any number of processes do so at once, and none needs the writer's role before the commit: until settle() or discard() no object goes
 * (object-lock.ts). A process killed at any moment leaves files in objects/tmp, or objects that a list there
 * names: the next writer removes those that no row names (ObjectFiles.sweepUnfinished).
 */
import { closeSync, constants, mkdirSync, openSync, rmSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import { EEXIST, ENOENT } from '../base/errno.ts';
import { failpoint } from '../base/failpoints.ts';
import type { ObjectId } from '../base/ids.ts';
import { AT_FDCWD, native } from '../native/binding.ts';
import type { FileLock } from './file-lock.ts';
import { keepObjects } from './object-lock.ts';
import { ObjectPool } from './object-pool.ts';
import type { ObjectFiles } from './objects.ts';
import type { Patience } from './patience.ts';

/** What a file counts for that is read in pieces: it never is in memory as a whole. */
const LARGE = 4 * 2 ** 20;
/** Of renameat2(2): what is there stays. */
const RENAME_NOREPLACE = 1;

export class ObjectWriter {
  private readonly objects: ObjectFiles;
  private readonly lock: FileLock;
  /** Its own directory in objects/tmp. */
  private readonly dir: string;
  private readonly pool: ObjectPool;
  /** New objects: id to name in the directory. */
  private readonly unpublished = new Map<ObjectId, string>();
  /** Objects that were there. */
  private readonly found = new Set<ObjectId>();
  private hasPublished = false;
  private streams = 0;

  private constructor(objects: ObjectFiles, lock: FileLock) {
    this.objects = objects;
    this.lock = lock;
    this.dir = objects.makeUnfinished();
    this.pool = new ObjectPool({ objects: objects.dir, tmp: this.dir });
  }

  /** From now on no object goes. */
  static async begin(objects: ObjectFiles, patience?: Patience): Promise<ObjectWriter> {
    const lock = await keepObjects(objects.dir, patience);
    try {
      return new ObjectWriter(objects, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /**
   * Adds these bytes; the buffer is the writer's from now on, and must not be a slice of a larger one.
   * A promise means: wait before the next.
   */
  addBytes(content: Uint8Array, done: (id: ObjectId, size: number) => void): Promise<void> | null {
    return this.add({ kind: 'bytes', content }, content.length, done);
  }

  /** Adds a file's content; `size` is what stat said, the real one comes with `done`. */
  addFile(
    file: Buffer,
    size: number,
    done: (id: ObjectId, size: number) => void,
  ): Promise<void> | null {
    // A copy of its own: a slice of Node's buffer pool would be sent to the worker with all the pool.
    const job = { kind: 'file', path: new Uint8Array(file) } as const;
    return this.add(job, Math.min(size, LARGE), done);
  }

  /** A new file, to be written by the caller, and then added with addTemp or removed. */
  createTemp(): { temp: string; path: string; fd: number } {
    this.streams++;
    const temp = `s${this.streams}`;
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
    const file = path.join(this.dir, temp);
    return { temp, path: file, fd: openSync(file, flags, 0o600) };
  }

  addTemp(temp: string, done: (id: ObjectId, size: number) => void): Promise<void> | null {
    return this.add({ kind: 'adopt', temp }, LARGE, done);
  }

  private add(
    job: Parameters<ObjectPool['add']>[0],
    bytes: number,
    done: (id: ObjectId, size: number) => void,
  ): Promise<void> | null {
    return this.pool.add(job, bytes, ({ id, size, temp }) => {
      if (temp === null) this.found.add(id as ObjectId);
      else this.keepOnce(id as ObjectId, temp);
      done(id as ObjectId, size);
    });
  }

  /** Two threads may have written the same content: one copy is enough. */
  private keepOnce(id: ObjectId, temp: string): void {
    if (this.unpublished.has(id)) unlinkSync(path.join(this.dir, temp));
    else this.unpublished.set(id, temp);
  }

  /** Waits for all that was added. */
  async finish(): Promise<void> {
    await this.pool.finish();
    await this.pool.close();
  }

  /** They are in place, and on disk, when this returns. */
  async publish(): Promise<void> {
    const ids = [...this.unpublished.keys()];
    if (ids.length > 0) {
      // Bytes before names: an object that has its name has its bytes, whenever the power goes.
      await this.sync();
      this.objects.writeDoubtful(ids, this.dir);
      failpoint('objects-doubted');
      this.hasPublished = true;
      for (const [id, temp] of this.unpublished) this.place(id, temp);
      failpoint('objects-placed');
    }
    // Names before the rows that refer to them; also those that another process gave just now.
    if (ids.length > 0 || this.hasFoundUncommitted()) await this.sync();
  }

  private hasFoundUncommitted(): boolean {
    for (const id of this.found) if (this.objects.row(id) === null) return true;
    return false;
  }

  /** Of two processes with the same bytes one is first, and its file stays: envs may have it open already. */
  private place(id: ObjectId, temp: string): void {
    const to = this.objects.path(id);
    let result = this.rename(temp, to);
    if (result === -ENOENT) {
      mkdirSync(path.dirname(to), { recursive: true, mode: 0o700 });
      result = this.rename(temp, to);
    }
    if (result === 0 || result === -EEXIST) return;
    throw Object.assign(new Error(`can't make ${to} (errno ${-result})`), { errno: result });
  }

  private rename(temp: string, to: string): number {
    const from = path.join(this.dir, temp);
    return native.renameAt(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
  }

  private async sync(): Promise<void> {
    const fd = openSync(this.objects.dir, constants.O_RDONLY);
    try {
      const result = await native.syncfsAsync(fd);
      if (result < 0) throw Object.assign(new Error('syncfs failed'), { errno: result });
    } finally {
      closeSync(fd);
    }
  }

  /** After the rows are committed, by the store's writer. */
  settle(): void {
    this.lock.release();
    this.objects.sweepUnfinished();
  }

  /**
   * Instead of settle. What nobody else has is gone, or goes with the next sweep.
   * @returns true if a sweep has something to do
   */
  async discard(): Promise<boolean> {
    await this.pool.close();
    if (!this.hasPublished) rmSync(this.dir, { recursive: true, force: true });
    this.lock.release();
    return this.hasPublished;
  }
}
