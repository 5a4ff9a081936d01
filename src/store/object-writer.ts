/**
 * Adds objects to the store, in three steps, so that an import is all or nothing:
 *
 *   add...()   hashes and writes to objects/tmp, in parallel; nobody sees it
 *   publish()  syncs, renames into place; still nothing refers to it
 *   (the caller commits the rows that do, with ObjectFiles.addRefs)
 *   settle()   after the commit; or discard() if it, or anything before, failed
 *
 * A process killed at any moment leaves files in objects/tmp, or objects that objects/tmp/doubtful
 * lists: the next writer removes those that no row names (ObjectFiles.sweepUnfinished).
 */
import { closeSync, constants, mkdirSync, openSync, renameSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import type { ObjectId } from '../base/ids.ts';
import { native } from '../native/binding.ts';
import { ObjectPool } from './object-pool.ts';
import type { ObjectFiles } from './objects.ts';

/** What a file counts for that is read in pieces: it never is in memory as a whole. */
const LARGE = 4 * 2 ** 20;

export class ObjectWriter {
  private readonly objects: ObjectFiles;
  private readonly pool: ObjectPool;
  /** New objects: id to name in objects/tmp. */
  private readonly unpublished = new Map<ObjectId, string>();
  private published: ObjectId[] = [];
  private streams = 0;

  constructor(objects: ObjectFiles) {
    this.objects = objects;
    this.pool = new ObjectPool({ objects: objects.dir, tmp: objects.unfinishedDir });
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

  /** A new file in objects/tmp, to be written by the caller, and then added with addTemp or removed. */
  createTemp(): { temp: string; path: string; fd: number } {
    this.streams++;
    const temp = `s${this.streams}`;
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
    const file = path.join(this.objects.unfinishedDir, temp);
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
      if (temp !== null) this.keepOnce(id as ObjectId, temp);
      done(id as ObjectId, size);
    });
  }

  /** Two threads may have written the same content: one copy is enough. */
  private keepOnce(id: ObjectId, temp: string): void {
    if (this.unpublished.has(id)) unlinkSync(path.join(this.objects.unfinishedDir, temp));
    else this.unpublished.set(id, temp);
  }

  /** Waits for all that was added. */
  async finish(): Promise<void> {
    await this.pool.finish();
    await this.pool.close();
  }

  async publish(): Promise<void> {
    const ids = [...this.unpublished.keys()];
    if (ids.length === 0) return;
    // Bytes before names: an object that has its name has its bytes, whenever the power goes.
    await this.sync();
    this.objects.writeDoubtful(ids);
    this.published = ids;
    for (const [id, temp] of this.unpublished) this.place(id, temp);
    // Names before the rows that refer to them.
    await this.sync();
  }

  private place(id: ObjectId, temp: string): void {
    const from = path.join(this.objects.unfinishedDir, temp);
    const to = this.objects.path(id);
    try {
      renameSync(from, to);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
      mkdirSync(path.dirname(to), { recursive: true, mode: 0o700 });
      renameSync(from, to);
    }
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

  /** After the rows are committed. */
  settle(): void {
    this.objects.sweepUnfinished();
  }

  /** Instead of settle: the store's objects are as before. */
  async discard(): Promise<void> {
    await this.pool.close();
    for (const id of this.published) this.objects.removeFile(id);
    this.objects.sweepUnfinished();
  }
}
