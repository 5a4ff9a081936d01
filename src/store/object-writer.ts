/**
 * Adds objects to the store in three steps, so that an import happens completely or not at all:
 *
 *   add...()   hashes and writes to a directory in objects/tmp, in parallel; no other process sees them
 *   publish()  syncs, renames into place; still nothing refers to it
 *   (the caller commits the rows that do, with ObjectFiles.addRefs, as the store's writer)
 *   end()      after the commit; or discard() if it, or anything before, failed
 *
 * Any number of processes may do so at once. None needs the writer's lock before its commit, and no object is removed
 * until end() or discard() (object-lock.ts). A process killed at any moment leaves files in objects/tmp, or objects
 * that a list there names: the next writer removes those that no row names (ObjectFiles.sweepUnfinished).
 */
import { constants, linkSync, lstatSync, mkdirSync, openSync, rmSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import { EEXIST, ENOENT } from '../base/errno.ts';
import { failpoint } from '../base/failpoints.ts';
import type { ObjectId } from '../base/ids.ts';
import { RENAME_NOREPLACE } from '../base/mode.ts';
import { AT_FDCWD, native } from '../native/binding.ts';
import type { FileLock } from '../native/lock-file.ts';
import { syncFileSystem } from '../native/sync-file-system.ts';
import type { Distrust } from './object-job.ts';
import { keepObjects } from './object-lock.ts';
import { ObjectPool } from './object-pool.ts';
import type { ObjectFiles } from './objects.ts';
import type { Patience } from './patience.ts';

/** How many bytes of memory a file counts for at most: larger ones are read in pieces. */
const LARGE = 4 * 2 ** 20;

/** One process's objects on their way into the store: see above for the order of the calls. */
export class ObjectWriter {
  private readonly objects: ObjectFiles;
  private readonly lock: FileLock;
  /** This writer's own directory in objects/tmp. */
  private readonly dir: string;
  private readonly pool: ObjectPool;
  private readonly distrust: Distrust;
  /** New objects: from the id to the file's name in `dir`. */
  private readonly unpublished = new Map<ObjectId, string>();
  /** Objects that the store had already. */
  private readonly found = new Set<ObjectId>();
  /** Objects among the new ones of which the store has a damaged file. */
  private readonly damaged = new Set<ObjectId>();
  private hasPublished = false;
  private streams = 0;

  private constructor(objects: ObjectFiles, lock: FileLock, distrust: Distrust) {
    this.objects = objects;
    this.lock = lock;
    this.distrust = distrust;
    this.dir = objects.makeUnfinished();
    this.pool = new ObjectPool({ objects: objects.dir, tmp: this.dir, distrust });
  }

  /**
   * Begins to add objects: from now on no process removes any.
   * @param distrust which of the objects that the store has already are read, and written anew if they are damaged
   */
  static async begin(
    objects: ObjectFiles,
    patience?: Patience,
    distrust: Distrust = new Set(),
  ): Promise<ObjectWriter> {
    const lock = await keepObjects(objects.dir, patience);
    try {
      return new ObjectWriter(objects, lock, distrust);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /**
   * Returns true if the store has an object already, so that it can be named as if it had been added. Its bytes are not read: of one that is
   * distrusted, the caller has to bring them.
   */
  has(id: ObjectId, size: number): boolean {
    if (this.distrust === 'all' || this.distrust.has(id)) return false;
    const found = lstatSync(this.objects.path(id), { throwIfNoEntry: false });
    if (found === undefined || !found.isFile() || found.size !== size) return false;
    this.found.add(id);
    return true;
  }

  /**
   * Adds these bytes. The buffer belongs to the writer from now on, and must not be a slice of a larger one.
   * @returns a promise if the caller should wait for it before it adds more, else null
   */
  addBytes(content: Uint8Array, done: (id: ObjectId, size: number) => void): Promise<void> | null {
    return this.add({ kind: 'bytes', content }, content.length, done);
  }

  /**
   * Adds a file's content. `size` is what stat said; the size that was read comes with `done`.
   * @returns as addBytes
   */
  addFile(
    file: Buffer,
    size: number,
    done: (id: ObjectId, size: number) => void,
  ): Promise<void> | null {
    // A copy of its own: a slice of Node's buffer pool would be sent to the worker with all the pool.
    const job = { kind: 'file', path: new Uint8Array(file) } as const;
    return this.add(job, Math.min(size, LARGE), done);
  }

  /** Creates a file for the caller to write, and then to add with addTemp() or to remove. */
  createTemp(): { temp: string; path: string; fd: number } {
    this.streams++;
    const temp = `s${this.streams}`;
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
    const file = path.join(this.dir, temp);
    return { temp, path: file, fd: openSync(file, flags, 0o600) };
  }

  /** Adds a file that createTemp() made. @returns as addBytes */
  addTemp(temp: string, done: (id: ObjectId, size: number) => void): Promise<void> | null {
    return this.add({ kind: 'adopt', temp }, LARGE, done);
  }

  /** Adds a file on the same file system, which nobody may write to any longer: it becomes the object itself. @returns as addBytes */
  addLink(file: string, done: (id: ObjectId, size: number) => void): Promise<void> | null {
    this.streams++;
    const temp = `s${this.streams}`;
    linkSync(file, path.join(this.dir, temp));
    return this.addTemp(temp, done);
  }

  private add(
    job: Parameters<ObjectPool['add']>[0],
    bytes: number,
    done: (id: ObjectId, size: number) => void,
  ): Promise<void> | null {
    return this.pool.add(job, bytes, ({ id, size, temp, replaces = false }) => {
      if (temp === null) this.found.add(id as ObjectId);
      else this.keepOnce(id as ObjectId, temp);
      if (replaces) this.damaged.add(id as ObjectId);
      done(id as ObjectId, size);
    });
  }

  /** Keeps one file per object: two threads may have written the same content. */
  private keepOnce(id: ObjectId, temp: string): void {
    if (this.unpublished.has(id)) unlinkSync(path.join(this.dir, temp));
    else this.unpublished.set(id, temp);
  }

  /** Waits until all that was added has been hashed and written. */
  async finish(): Promise<void> {
    await this.pool.finish();
    await this.pool.close();
  }

  /** Moves the new objects into place. They have their names, and are on disk, when this returns. */
  async publish(): Promise<void> {
    const ids = [...this.unpublished.keys()];
    if (ids.length > 0) {
      // Bytes before names: an object that has its name has its bytes, whenever the power goes.
      await this.sync();
      this.objects.writeDoubtful(ids, this.dir);
      failpoint('objects-doubted');
      this.hasPublished = true;
      for (const [id, temp] of this.unpublished) {
        if (this.damaged.has(id)) this.objects.replaceFile(id, path.join(this.dir, temp));
        else this.place(id, temp);
      }
      failpoint('objects-placed');
    }
    // Names before the rows that refer to them; also those that another process gave just now.
    if (ids.length > 0 || this.hasFoundUncommitted()) await this.sync();
  }

  private hasFoundUncommitted(): boolean {
    for (const id of this.found) if (this.objects.row(id) === null) return true;
    return false;
  }

  /**
   * Renames a new object into place. If another process was first with the same bytes, its file stays: envs may
   * have it open already.
   */
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
    const result = await syncFileSystem(this.objects.dir);
    if (result < 0) throw Object.assign(new Error('syncfs failed'), { errno: result });
  }

  /** Ends the writer after the rows are committed. Only the process with the writer's lock may call it. */
  end(): void {
    this.lock.release();
    this.objects.sweepUnfinished();
  }

  /**
   * Ends the writer without a commit, instead of end(). What no other process uses is removed now, or by the
   * next sweep.
   * @returns true if there is something for a sweep to do
   */
  async discard(): Promise<boolean> {
    await this.pool.close();
    if (!this.hasPublished) rmSync(this.dir, { recursive: true, force: true });
    this.lock.release();
    return this.hasPublished;
  }
}
