import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { EBUSY, EEXIST, EIO, ENOENT, ENOSPC } from '../../base/errno.ts';
import { failpoint, failpointError } from '../../base/failpoints.ts';
import type { Ino, ObjectId } from '../../base/ids.ts';
import { type Keeper, keptDescriptors } from '../../base/kept-descriptors.ts';
import { O_CLOEXEC, O_CREAT, O_EXCL, O_RDONLY, O_RDWR } from '../../base/mode.ts';
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  native,
  STAT,
  STAT_SLOTS,
  STATFS_SLOTS,
} from '../../native/binding.ts';
import { openFile, withDescriptors } from '../../native/open-file.ts';
import type { AccessTimes, BlobStat, Blobs, SpaceStat } from '../core/ports.ts';
import { FileCopier, type RunSlice } from './copy-file.ts';
import { PRIVATE_DIR, privateIno, privateName, VOLUMES_DIR } from './layout.ts';
import { loseFile } from './lost-files.ts';
import type { NameTags } from './name-tags.ts';
import { Removals } from './removals.ts';
import { hasSameBytes } from './same-bytes.ts';
import { openDir } from './sync-dir.ts';
import { UsageCount } from './usage-count.ts';
import { VolumesCount } from './volumes-count.ts';
import { WriteOuts } from './write-outs.ts';

const stat = new Float64Array(STAT_SLOTS);
const statfs = new Float64Array(STATFS_SLOTS);
/** A flush is asked for when files that wait for removal take this many st_blocks: 64 MiB. */
const PENDING_BLOCKS_MAX = 131_072;
/** MOUNT_ATTR_* of linux/mount.h. */
const ACCESS_TIMES: Readonly<Record<AccessTimes, number>> = {
  relatime: 0,
  noatime: 0x10,
  strictatime: 0x20,
};

const PAGE_BYTES = 4096;
const NO_ORPHANS: ReadonlySet<Ino> = new Set();

/** File systems (statfs f_type) that were seen to change the mtime at a store: ext4, XFS, Btrfs. */
const STORES_TOLD: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e]);

/** The functions that private files need from the rest of the delta. */
export interface Durability {
  readonly tags: NameTags;
  /** Makes everything committed durable, and waits for the disk. Returns 0 or -errno. Only for a full disk. */
  syncNow(): number;
  /** Asks for a flush soon. */
  flushSoon(): void;
  /** Makes everything committed durable, and waits until removed files are off the disk. */
  quiesce(): Promise<unknown>;
  /** Returns the number of inodes that the env made. */
  ownInodes(): number;
  /** Inodes without a name. */
  readonly orphans: ReadonlySet<Ino>;
}

/**
 * The env's own bytes: `private/<ino>`. A file that a durable record may refer to is removed only after the change
 * that forgot it is durable too. Otherwise a power cut between the two would bring back a name whose bytes are
 * gone.
 */
export class PrivateFiles implements Blobs, Keeper {
  used = 0;
  /** How many copies of objects were begun. */
  copies = 0;
  readonly #dir: string;
  readonly #envDir: string;
  readonly #openObject: (id: ObjectId, size?: number) => number;
  #copier = new FileCopier();
  readonly #removals: Removals;
  readonly #writeOuts = new WriteOuts(
    (ino) => this.openPrivate(ino, O_RDONLY),
    () => this.syncFileSystem(),
  );
  /** Files created since the last flush began: no durable record refers to them. */
  #fresh = new Set<Ino>();
  readonly #copying = new Set<Ino>();
  readonly usage: UsageCount;
  #dirfd = -1;
  /**
   * A descriptor on the directory through a mount of its own, which sets how access times are kept; -1 if there is
   * none.
   */
  #mount = -1;
  #accessTimes: AccessTimes | null = null;
  #entriesDirty = false;
  /** How many calls on the thread pool use the directory's descriptor now. */
  #syncing = 0;
  #storesTold: boolean | null = null;
  #durability: Durability | null = null;
  #blockBytes = 0;

  constructor(envDir: string, openObject: (id: ObjectId, size?: number) => number) {
    this.#envDir = envDir;
    this.#dir = path.join(envDir, PRIVATE_DIR);
    this.#openObject = openObject;
    this.#removals = new Removals((ino) => this.#unlink(ino));
    const durability = (): Durability | null => this.#durability;
    const counted = {
      files: () => this.list(),
      blocks: (ino: Ino, fd: number) => this.#blocks(ino, fd),
      leavingBlocks: () => this.#removals.blocks,
      ownInodes: () => durability()?.ownInodes() ?? 0,
      quiesce: () => durability()?.quiesce() ?? Promise.resolve(),
      get orphans() {
        return durability()?.orphans ?? NO_ORPHANS;
      },
    };
    this.usage = new UsageCount(counted, new VolumesCount(path.join(envDir, VOLUMES_DIR)));
  }

  /**
   * Sets how reads of private files move their access times from now on, regardless of how the file system below
   * is mounted.
   */
  keepAccessTimes(times: AccessTimes): void {
    if (times === this.#accessTimes) return;
    this.#accessTimes = times;
    if (this.#mount >= 0) native.setAccessTimes(this.#mount, ACCESS_TIMES[times]);
    else if (this.#dirfd >= 0) this.#mountOwn(times);
  }

  /**
   * Makes a mount of its own for the directory. Where that is not allowed (in some containers), the mount below
   * decides how access times are kept.
   */
  #mountOwn(times: AccessTimes): void {
    this.#mount = withDescriptors(() => native.cloneMount(this.#dirfd), this);
    if (this.#mount >= 0) keptDescriptors.opened(this, 1);
    if (this.#mount >= 0) native.setAccessTimes(this.#mount, ACCESS_TIMES[times]);
  }

  /** Connects the rest of the delta. Without it (tests, tools) files are removed at once. */
  attach(durability: Durability): void {
    this.#durability = durability;
  }

  /** Makes slices of long copies get their threads from `run` from now on. */
  shareThreads(run: RunSlice): void {
    this.#copier = new FileCopier(run);
  }

  openObject(id: ObjectId, size?: number): number {
    return this.#openObject(id, size);
  }

  createPrivate(ino: Ino): number {
    this.#removeNow(ino);
    let fd = failpointError('private-create') || this.#create(ino);
    if (fd === -ENOSPC && this.reclaim()) fd = this.#create(ino);
    if (fd < 0) return fd;
    // A crash here leaves a file that no record names: swept at the next open.
    failpoint('private-created');
    this.#made(ino);
    return fd;
  }

  #create(ino: Ino): number {
    const dirfd = this.#openDir(true);
    if (dirfd < 0) return dirfd;
    const name = privateName(ino);
    const flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
    const via = this.#mount >= 0 ? this.#mount : dirfd;
    const fd = openFile(via, name, flags, 0o600, this);
    if (fd !== -EEXIST) return fd;
    native.unlinkAt(dirfd, name, 0);
    return openFile(via, name, flags, 0o600, this);
  }

  openPrivate(ino: Ino, flags: number): number {
    const dirfd = this.#openDir(false);
    if (dirfd < 0) return dirfd;
    const via = this.#mount >= 0 ? this.#mount : dirfd;
    return openFile(via, privateName(ino), flags | O_CLOEXEC, 0, this);
  }

  removePrivate(ino: Ino, isNamed = false): number {
    this.#durability?.tags.removed(ino);
    this.usage.removed(ino);
    this.#writeOuts.remove(ino);
    const isFresh = this.#fresh.delete(ino);
    if (this.#durability === null || (isFresh && !isNamed)) return this.#unlink(ino);
    const failed = this.#statAt(ino);
    if (failed < 0) return failed;
    this.#removals.add(ino, stat[STAT.blocks] ?? 0);
    if (this.#removals.blocks > PENDING_BLOCKS_MAX) this.#durability.flushSoon();
    return 0;
  }

  adoptPrivate(file: string, ino: Ino): number {
    this.#removeNow(ino);
    const dirfd = this.#openDir(true);
    if (dirfd < 0) return dirfd;
    const from = path.join(this.#envDir, path.basename(file));
    let failed = native.linkAt(AT_FDCWD, from, dirfd, privateName(ino), 0);
    if (failed === -EEXIST) {
      native.unlinkAt(dirfd, privateName(ino), 0);
      failed = native.linkAt(AT_FDCWD, from, dirfd, privateName(ino), 0);
    }
    if (failed < 0) return failed;
    failpoint('private-adopted');
    this.#made(ino);
    return 0;
  }

  readPrepared(file: string): Buffer | number {
    try {
      return readFileSync(path.join(this.#envDir, path.basename(file)));
    } catch (error) {
      // Node's errno is already negative.
      return (error as NodeJS.ErrnoException).errno ?? -EIO;
    }
  }

  #made(ino: Ino): void {
    this.#fresh.add(ino);
    this.#entriesDirty = true;
    this.#durability?.tags.made(ino);
    this.usage.made(ino);
  }

  isUnused(ino: Ino): number {
    const fd = this.openPrivate(ino, O_RDONLY);
    if (fd < 0) return fd;
    const result = native.isUnused(fd);
    native.close(fd);
    return result;
  }

  get tellsStores(): boolean {
    const fd = this.#openDir(false);
    if (this.#storesTold === null && fd >= 0) {
      this.#storesTold = native.statfsFd(fd, statfs) === 0 && STORES_TOLD.has(statfs[6]!);
    }
    return this.#storesTold === true;
  }

  hasBytesOf(ino: Ino, id: ObjectId): boolean {
    const copy = this.openPrivate(ino, O_RDONLY);
    const object = copy < 0 ? copy : this.#openObject(id);
    const same = object >= 0 && hasSameBytes(copy, object);
    if (copy >= 0) native.close(copy);
    if (object >= 0) native.close(object);
    return same;
  }

  statPrivate(ino: Ino, out: BlobStat): number {
    const failed = this.#statAt(ino);
    if (failed < 0) return failed;
    out.size = stat[STAT.size]!;
    out.blocks = stat[STAT.blocks]! - this.#tagBlocks(ino);
    out.atime = stat[STAT.atime]!;
    out.atimeNs = stat[STAT.atimeNs]!;
    out.mtime = stat[STAT.mtime]!;
    out.mtimeNs = stat[STAT.mtimeNs]!;
    out.ctime = stat[STAT.ctime]!;
    out.ctimeNs = stat[STAT.ctimeNs]!;
    return 0;
  }

  copyUp(
    id: ObjectId,
    ino: Ino,
    length: number,
    interrupted: () => boolean,
    made: (fd: number) => void = () => {},
  ): number | Promise<number> {
    if (this.#copying.has(ino)) return -EBUSY;
    this.copies++;
    const from = this.#openObject(id);
    if (from < 0) return from;
    const to = this.createPrivate(ino);
    if (to < 0) {
      native.close(from);
      return to;
    }
    made(to);
    const result = this.#copier.copy(from, to, length, interrupted);
    if (typeof result === 'number') return this.#endCopy(from, to, ino, result);
    this.#copying.add(ino);
    return result.then(
      (code) => this.#endCopy(from, to, ino, code),
      () => this.#endCopy(from, to, ino, -EIO),
    );
  }

  #endCopy(from: number, to: number, ino: Ino, result: number): number {
    this.#copying.delete(ino);
    native.close(from);
    if (result >= 0) this.usage.update(ino, to);
    native.close(to);
    failpoint('copied-up');
    if (result >= 0) return 0;
    this.usage.removed(ino);
    this.#fresh.delete(ino);
    this.#durability?.tags.removed(ino);
    this.#unlink(ino);
    // The caller fails now; the next one may find the room that removed files still took.
    if (result === -ENOSPC && this.#removals.size > 0) this.#durability?.flushSoon();
    return result;
  }

  close(fd: number): void {
    native.close(fd);
  }

  get blockBytes(): number {
    if (this.#blockBytes > 0) return this.#blockBytes;
    const fd = openDir(this.#envDir);
    if (fd >= 0 && native.statfsFd(fd, statfs) === 0) this.#blockBytes = statfs[0]!;
    if (fd >= 0) native.close(fd);
    return this.#blockBytes || PAGE_BYTES;
  }

  /** Counts the space that removed files still take as free. */
  space(out: SpaceStat): number {
    const fd = openDir(this.#envDir);
    if (fd < 0) return fd;
    const failed = native.statfsFd(fd, statfs);
    native.close(fd);
    if (failed < 0) return failed;
    const bsize = statfs[0]!;
    const pending = Math.floor((this.#removals.blocks * 512) / bsize);
    out.bsize = bsize;
    out.blocks = statfs[1]!;
    out.bfree = statfs[2]! + pending;
    out.bavail = statfs[3]! + pending;
    out.files = statfs[4]!;
    out.ffree = statfs[5]! + this.#removals.size;
    return 0;
  }

  /** Fills in size and blocks of an object. Returns 0 or -errno. */
  statObject(id: ObjectId, out: { size: number; blocks: number }): number {
    const fd = this.#openObject(id);
    if (fd < 0) return fd;
    const failed = native.statFd(fd, stat);
    native.close(fd);
    if (failed < 0) return failed;
    out.size = stat[STAT.size]!;
    out.blocks = stat[STAT.blocks]!;
    return 0;
  }

  /** True if new files' directory entries are not known to be on disk. */
  get entriesDirty(): boolean {
    return this.#entriesDirty;
  }

  /**
   * Goes on from a process that was killed before it put on disk what it had made.
   * @param replaced files that may have taken the place of others
   */
  takeOver(replaced: readonly Ino[]): void {
    this.#entriesDirty = true;
    this.#writeOuts.takeOver(replaced);
  }

  writeOut(ino: Ino): void {
    this.#writeOuts.add(ino);
  }

  /** Waits until all bytes that writeOut() was asked for are on disk. Resolves to 0, or to -errno: see WriteOuts.sync(). */
  syncWriteOuts(): Promise<number> {
    return this.#writeOuts.sync();
  }

  get awaitsRemovals(): boolean {
    return this.#removals.size > 0;
  }

  /**
   * Removes no file of the records that there are now until the returned function is called, so that all of them can be
   * copied. Holds don't overlap.
   */
  hold(): () => void {
    // What is created from now on no such record refers to, so it may go at once.
    this.#fresh = new Set();
    return this.#removals.hold();
  }

  /** Begins a flush. Returns the mark that endFlush() takes. */
  beginFlush(): number {
    this.#fresh = new Set();
    return this.#removals.mark();
  }

  /** Opens what syncEntries() needs. Returns 0 or -errno. */
  openEntries(): number {
    const opened = this.#entriesDirty ? this.#openDir(false) : 0;
    return opened < 0 && opened !== -ENOENT ? opened : 0;
  }

  /** Does fsync on the directory, if files were created. Resolves to 0 or -errno. */
  async syncEntries(): Promise<number> {
    const opened = this.openEntries();
    if (opened < 0 || !this.#entriesDirty || this.#dirfd < 0) return opened;
    this.#entriesDirty = false;
    const result = await this.#withDir(
      (fd) => failpointError('private-sync') || native.fsyncAsync(fd, false),
    );
    if (result < 0) this.#entriesDirty = true;
    return result;
  }

  /** Ends the flush that began with `mark` and succeeded: files removed before it may go. */
  endFlush(mark: number): Promise<void> {
    return this.#removals.runUpTo(mark);
  }

  /** Does syncfs: puts everything on this file system on disk. Resolves to 0 or -errno. */
  async syncFileSystem(): Promise<number> {
    const dirfd = this.#openDir(false);
    return dirfd < 0 ? dirfd : this.#withDir((fd) => native.syncfsAsync(fd));
  }

  /** Makes a call on the thread pool with the directory's descriptor, which is open and stays so meanwhile. */
  async #withDir(call: (fd: number) => number | Promise<number>): Promise<number> {
    this.#syncing++;
    try {
      return await call(this.#dirfd);
    } finally {
      this.#syncing--;
    }
  }

  /**
   * Frees the space of removed files at once, for an operation that found none. Returns false if there is nothing
   * to free.
   */
  reclaim(): boolean {
    if (this.#removals.size === 0 || this.#durability === null) return false;
    if (this.#durability.syncNow() < 0) return false;
    return this.#removals.runNow();
  }

  /** Returns the number of bytes of a private file; -1 if there is none. */
  sizeOf(ino: Ino): number {
    return this.#statAt(ino) < 0 ? -1 : stat[STAT.size]!;
  }

  /** Moves a private file that no record names to lost+found. Returns 0 or -errno. */
  setAside(ino: Ino): number {
    const dirfd = this.#openDir(false);
    return dirfd < 0 ? dirfd : loseFile(this.#envDir, dirfd, privateName(ino));
  }

  /** Lists the inos that have a private file; costs one readdir. */
  list(): Ino[] {
    const dirfd = this.#openDir(false);
    if (dirfd < 0) return [];
    return readdirSync(this.#dir)
      .map(privateIno)
      .filter((ino) => ino >= 0) as Ino[];
  }

  shutdown(): void {
    this.usage.stop();
    this.#closeDir();
  }

  /** Closes the directory until it is used again. */
  rest(): void {
    if (this.#syncing === 0) this.#closeDir();
  }

  #closeDir(): void {
    for (const fd of [this.#dirfd, this.#mount]) {
      if (fd < 0) continue;
      native.close(fd);
      keptDescriptors.closed(this, 1);
    }
    this.#dirfd = -1;
    this.#mount = -1;
  }

  /** Removes the old file of an ino at once, without further wait, because the ino gets a new one. */
  #removeNow(ino: Ino): void {
    if (!this.#removals.has(ino)) return;
    this.#durability?.syncNow();
    this.#removals.forget(ino);
    this.#unlink(ino);
  }

  #unlink(ino: Ino): number {
    const dirfd = this.#openDir(false);
    if (dirfd < 0) return dirfd;
    failpoint('private-remove');
    return native.unlinkAt(dirfd, privateName(ino), 0);
  }

  /** Returns what the file takes for as long as it is the env's, in st_blocks; or -errno. */
  #blocks(ino: Ino, fd: number): number {
    if (fd < 0 && this.#removals.has(ino)) return -ENOENT;
    const failed = fd < 0 ? this.#statAt(ino) : native.statFd(fd, stat);
    return failed < 0 ? failed : stat[STAT.blocks]! - this.#tagBlocks(ino);
  }

  /** Returns the st_blocks that the file's tag takes, until it is taken off. */
  #tagBlocks(ino: Ino): number {
    return this.#durability?.tags.blocksOf(ino) ?? 0;
  }

  #statAt(ino: Ino): number {
    const dirfd = this.#openDir(false);
    if (dirfd < 0) return dirfd;
    return native.statAt(dirfd, privateName(ino), stat, AT_SYMLINK_NOFOLLOW);
  }

  #openDir(create: boolean): number {
    if (this.#dirfd >= 0) {
      keptDescriptors.touch(this);
      return this.#dirfd;
    }
    let fd = openDir(this.#dir);
    if (fd === -ENOENT && create) {
      mkdirSync(this.#dir, { mode: 0o700 });
      fd = openDir(this.#dir);
    }
    if (fd >= 0) {
      this.#dirfd = fd;
      keptDescriptors.opened(this, 1);
      if (this.#accessTimes !== null) this.#mountOwn(this.#accessTimes);
    }
    return fd;
  }
}
