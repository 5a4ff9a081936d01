/**
 * Opens, counts and removes objects: immutable files named by the SHA-256 of their bytes, `objects/ab/cdef...`,
 * mode 0400. New ones are written by ObjectWriter.
 */
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { EIO, isShortage } from '../base/errno.ts';
import type { ObjectId } from '../base/ids.ts';
import { isReg, O_CLOEXEC, O_NOFOLLOW, O_RDONLY } from '../base/mode.ts';
import { BLOCK_BYTES } from '../codec/inode-record.ts';
import { decodeObject, encodeObject, type ObjectRow } from '../codec/store-rows.ts';
import { AT_FDCWD, native, STAT, STAT_SLOTS } from '../native/binding.ts';
import { nextData } from '../native/data-ranges.ts';
import { openFile } from '../native/open-file.ts';
import { objectKey } from './keys.ts';
import { tryRemoving } from './object-lock.ts';
import type { Tables } from './tables.ts';

/** How many hex digits of an id name its directory. */
const FAN_OUT = 2;
const ID_DIGITS = 64;
/** The mode of directories below objects/. */
export const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;
/** The file with the ids of objects that may be removed, in each directory of objects/tmp: see writeDoubtful. */
const DOUBTFUL = 'doubtful';

const stat = new Float64Array(STAT_SLOTS);

/** The objects of one root, and the rows that count who refers to them. */
export class ObjectFiles {
  readonly dir: string;
  /** Damaged objects whose files were replaced or moved aside here: drivers may have them open, and are to be told. */
  readonly changed = new Set<ObjectId>();
  private readonly tables: Tables;

  constructor(dir: string, tables: Tables) {
    this.dir = dir;
    this.tables = tables;
  }

  path(id: ObjectId): string {
    return path.join(this.dir, id.slice(0, FAN_OUT), id.slice(FAN_OUT));
  }

  /**
   * Opens an object for reading. Returns a descriptor, which the caller closes, or -errno: -EIO for an object that is
   * missing, no regular file, or of another size. Its bytes are not read.
   * @param size how long it is, if the caller knows; else its row says so
   */
  open(id: ObjectId, size?: number): number {
    const fd = openFile(AT_FDCWD, this.path(id), O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
    if (fd < 0) return isShortage(fd) ? fd : -EIO;
    if (this.isWhole(id, fd, size)) return fd;
    native.close(fd);
    return -EIO;
  }

  private isWhole(id: ObjectId, fd: number, size: number | undefined): boolean {
    if (native.statFd(fd, stat) < 0 || !isReg(stat[STAT.mode]!)) return false;
    return stat[STAT.size] === (size ?? this.row(id)?.size ?? stat[STAT.size]);
  }

  /**
   * Returns the directory for unfinished objects, on the same file system; each process that writes some has a
   * directory in it.
   */
  get unfinishedDir(): string {
    return path.join(this.dir, 'tmp');
  }

  /** Makes a directory for unfinished objects of this process. */
  makeUnfinished(): string {
    mkdirSync(this.unfinishedDir, { recursive: true, mode: DIRECTORY_MODE });
    return mkdtempSync(path.join(this.unfinishedDir, `${process.pid}.`));
  }

  /**
   * Records which objects may lose the rows that refer to them, or may never get any. It is written before
   * objects are published, and before an object's last row is removed. On disk when this returns.
   * @param dir one that makeUnfinished() made
   */
  writeDoubtful(ids: Iterable<ObjectId>, dir: string): void {
    const fd = openSync(path.join(dir, DOUBTFUL), 'w', FILE_MODE);
    writeSync(fd, [...ids].join('\n'));
    fsyncSync(fd);
    closeSync(fd);
  }

  private *doubtful(): Generator<ObjectId> {
    if (!existsSync(this.unfinishedDir)) return;
    // An older byref had it in the directory itself.
    for (const dir of ['.', ...readdirSync(this.unfinishedDir)]) {
      const file = path.join(this.unfinishedDir, dir, DOUBTFUL);
      if (!existsSync(file)) continue;
      for (const id of readFileSync(file, 'latin1').split('\n')) {
        if (id.length === ID_DIGITS) yield id as ObjectId;
      }
    }
  }

  /**
   * Removes unfinished objects, and doubtful ones that no row names: after a commit, or after the process that
   * worked on them was killed. Only the process with the writer's lock may call it. It can be cut short and run
   * again.
   * @returns false while other processes store objects: then nothing is removed, and the last of them does it
   */
  sweepUnfinished(): boolean {
    const lock = tryRemoving(this.dir);
    if (lock === null) return false;
    try {
      for (const id of this.doubtful()) if (this.row(id) === null) this.removeFile(id);
      // The directory itself stays: on a full disk it could not be made again.
      const names = existsSync(this.unfinishedDir) ? readdirSync(this.unfinishedDir) : [];
      for (const name of names)
        rmSync(path.join(this.unfinishedDir, name), { recursive: true, force: true });
      return true;
    } finally {
      lock.release();
    }
  }

  row(id: ObjectId): ObjectRow | null {
    const row = this.tables.table('objects').get(objectKey(id));
    return row === undefined ? null : decodeObject(row);
  }

  /**
   * Changes the number of link records that name the object. Call it inside a transaction. The row is created
   * with the first reference. At 0 it stays, because an env may name the object too, until a sweep finds that
   * none does (src/manager/upkeep/gc).
   */
  addRefs(id: ObjectId, change: number): void {
    const row = this.row(id) ?? this.measure(id);
    const refs = row.refs + change;
    this.tables.table('objects').putSync(objectKey(id), encodeObject({ ...row, refs }));
  }

  /**
   * Removes the row. Call it inside a transaction. The next sweep then removes the file, if the object is
   * listed as doubtful.
   */
  removeRow(id: ObjectId): void {
    this.tables.table('objects').removeSync(objectKey(id));
  }

  /** Returns all objects that no link record names. */
  unnamed(): ObjectId[] {
    const unnamed: ObjectId[] = [];
    for (const { key, value } of this.tables.table('objects').getRange({})) {
      if (decodeObject(value).refs === 0) unnamed.push(key.toString('hex') as ObjectId);
    }
    return unnamed;
  }

  /** Returns the row that a published object will get, with no references. */
  measure(id: ObjectId): ObjectRow {
    const { size, blocks } = statSync(this.path(id));
    return { size, blocks: blocks || this.unseenBlocks(id, size), refs: 0 };
  }

  /**
   * Estimates the blocks of an object for which stat says 0: a file system may keep a small file in its inode,
   * or it is one hole.
   */
  private unseenBlocks(id: ObjectId, size: number): number {
    if (size === 0) return 0;
    const fd = openSync(this.path(id), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      return nextData(fd, 0, size) === null ? 0 : Math.ceil(size / BLOCK_BYTES);
    } finally {
      closeSync(fd);
    }
  }

  /** Returns the directory that damaged objects are moved to, in case somebody wants to examine them. */
  get damagedDir(): string {
    return path.join(this.dir, 'damaged');
  }

  /** Moves what is in an object's place away, if something is. */
  moveAside(id: ObjectId): void {
    const from = this.path(id);
    if (lstatSync(from, { throwIfNoEntry: false }) === undefined) return;
    mkdirSync(this.damagedDir, { recursive: true, mode: DIRECTORY_MODE });
    rmSync(path.join(this.damagedDir, id), { recursive: true, force: true });
    renameSync(from, path.join(this.damagedDir, id));
    this.changed.add(id);
  }

  /**
   * Puts a finished file in the place of a damaged object, in one step: who opens it finds the one or the other. The caller
   * keeps objects from being removed, and syncs.
   * @param file on the same file system, with mode 0400, and on disk
   */
  replaceFile(id: ObjectId, file: string): void {
    const to = this.path(id);
    const isFile = lstatSync(to, { throwIfNoEntry: false })?.isFile() ?? true;
    if (!isFile) this.moveAside(id);
    mkdirSync(path.dirname(to), { recursive: true, mode: DIRECTORY_MODE });
    renameSync(file, to);
    this.changed.add(id);
  }

  removeFile(id: ObjectId): void {
    rmSync(this.path(id), { force: true });
  }
}
