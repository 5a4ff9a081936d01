/**
 * The interfaces through which the filesystem core reaches the outside: the templates below (`LowerTree`), the
 * env's own changes (`Delta`), storage for bytes (`Blobs`), and a kernel that can read and write a file by itself
 * (`Passthrough`). The core knows neither LMDB nor wire bytes; src/driver/process puts the parts together.
 *
 * Operations return errors as negative errno numbers and do not throw: this allocates nothing on the hot path. An
 * exception means a bug or damage, and ends that one operation with EIO.
 */
import type { Ino, Name, NodeId, ObjectId } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';

/** A (directory, name) pair: one place where a file is linked. */
export interface DirEntryRef {
  readonly dir: Ino;
  readonly name: Name;
}

/** One name of a template directory. */
export interface LowerEntry {
  readonly name: Name;
  /** `nameCookie(name)`: the entry's place in the directory's order. */
  readonly cookie: number;
  readonly record: InodeRecord;
}

/**
 * The templates under an env, merged, at the versions the env sees. The topmost template that has a name wins. If
 * several templates have a directory, the bottommost one's attributes count (an app's archive should not change
 * the mode of /tmp). Records are shared values: callers must not change them.
 */
export interface LowerTree {
  /** Identifies this set of versions: changes when the env sees other versions; never 0. */
  readonly stamp: number;
  /** Returns the record that the topmost template has under the name, or null. */
  lookup(dir: Ino, name: Name): InodeRecord | null;
  /** Returns the record of a template inode, wherever its names are; null if no template here has it. */
  inode(ino: Ino): InodeRecord | null;
  /**
   * Lists names of `dir` whose cookie is above `after`, in cookie order: at most `max`, but names of equal cookie
   * are never split.
   */
  list(dir: Ino, after: number, max: number): readonly LowerEntry[];
  /** Returns every (directory, name) that links to `ino` in the templates: one, except for hard links. */
  names(ino: Ino): readonly DirEntryRef[];
  /** Returns the record that a directory had when a template of this stack last had it; null if none ever did. */
  lastDir(ino: Ino): InodeRecord | null;
  /** Returns every record that the name leads to in any version of these templates. */
  everAt(dir: Ino, name: Name): readonly InodeRecord[];
  /**
   * Returns the record of file `ino` as some template version, in this stack or not, has it under this name; null
   * if none does.
   */
  everFile(dir: Ino, name: Name, ino: Ino): InodeRecord | null;
}

/** A name the env added (ino > 0) or removed (ino 0: a whiteout). `type` is S_IFMT bits. */
export interface DeltaName {
  readonly ino: Ino | 0;
  readonly type: number;
}

/** One name of a delta directory, with its place in the directory's order. */
export interface DeltaEntry extends DeltaName {
  readonly name: Name;
  readonly cookie: number;
}

/**
 * One atomic change of an env: the journal has all of it or none. The core fills one per operation and commits it
 * before it answers.
 */
export interface Change {
  /** Sets a name: to an inode, or to a whiteout if `ino` is 0. */
  setName(dir: Ino, name: Name, ino: Ino | 0, type: number): void;
  /** Takes a name out of the delta, so that whatever the templates have there shows again. */
  clearName(dir: Ino, name: Name): void;
  setInode(record: InodeRecord): void;
  clearInode(ino: Ino): void;
}

/** The env's own changes: the pending changes in memory and journal, over the link table. */
export interface Delta {
  name(dir: Ino, name: Name): DeltaName | null;
  /** Like LowerTree.list, with whiteouts included. */
  list(dir: Ino, after: number, max: number): readonly DeltaEntry[];
  /** Returns false if the delta certainly has no name in `dir`; true means that it may have some. */
  hasNames(dir: Ino): boolean;
  inode(ino: Ino): InodeRecord | null;
  /** Lists the template directories (not the env's own ones) in which the delta may have names. */
  templateDirs(): Iterable<Ino>;
  /** Returns every name that leads to the inode. Reads all names of the delta, so it is only for rare cases. */
  namesOf(ino: Ino): readonly DirEntryRef[];
  /** Returns a private ino that was never used before in this env, not even before a crash. */
  allocate(): Ino;
  /** Starts a change. Only one can be open at a time. */
  begin(): Change;
  /**
   * Appends the change to the journal and applies it. Returns 0, or -errno (ENOSPC, EIO) with nothing applied. The
   * change is not on disk yet: see flush().
   */
  commit(): number;
  /**
   * Tags a new private file with what its record will say. Called before the change with that record is committed.
   * If a program syncs bytes of the file without our knowing, recovery finds them by the tag after a power cut.
   * Changes the file's ctime.
   * @param places the names that the change gives the file
   * @param fd an open descriptor on the file, which makes this faster, or -1
   * @param early more work, such as copying bytes, comes before that change; this is called again afterwards
   */
  tagPrivate(
    record: InodeRecord,
    places: readonly DirEntryRef[],
    fd?: number,
    early?: boolean,
  ): void;
  /** Returns true if the tag could not be written: call flush() before a program gets the file by passthrough. */
  needsFlush(ino: Ino): boolean;
  /** The number of the last change. */
  readonly sequence: number;
  /** The number of the last change that was there when the delta was opened. */
  readonly foundSequence: number;
  /** True if anything was committed since the last flush() began. */
  readonly dirty: boolean;
  /** True while a flush runs. */
  readonly isFlushing: boolean;
  /** Resolves to 0 once everything committed before the call would survive a power cut, or to -errno. */
  flush(): Promise<number>;
}

/** Attributes of a private file, filled by Blobs.statPrivate. */
export interface BlobStat {
  size: number;
  blocks: number;
  atime: number;
  atimeNs: number;
  mtime: number;
  mtimeNs: number;
  ctime: number;
  ctimeNs: number;
}

/** Free space and inodes, as statfs(2) reports them; sizes are in units of `bsize` bytes. */
export interface SpaceStat {
  bsize: number;
  blocks: number;
  bfree: number;
  bavail: number;
  files: number;
  ffree: number;
}

/** The most that an env may take on disk; null: no limit. */
export interface DiskLimits {
  /** Of its private files, in bytes. */
  readonly bytes: number | null;
  readonly inodes: number | null;
}

/** What an env's private data takes. It is counted only between start() and stop(). */
export interface PrivateUsage {
  readonly isCounting: boolean;
  /** Bytes on disk of private files, and of volumes. */
  readonly bytes: number;
  /** Inodes that the env made, and template files that it has a copy of. */
  readonly inodes: number;
  /** Bytes of files that were removed, but are on disk until the next flush. */
  readonly leavingBytes: number;
  /** Inodes without a name: they are counted until nothing uses them. */
  readonly orphans: ReadonlySet<Ino>;
  /** The bytes that one private file was last seen to take. */
  bytesOf(ino: Ino): number;
  /** Counts from what is on disk, some files at a time; resolves when everything is counted. */
  start(): Promise<void>;
  stop(): void;
  /** Looks at a private file again, because it may have been written to. `fd` is open on it. */
  update(ino: Ino, fd: number): void;
  /** Resolves when removed files are off the disk. */
  settle(): Promise<void>;
}

/**
 * Storage for bytes: template objects and the env's private files. The caller must close() the descriptors that it
 * gets. Methods return -errno on failure.
 */
export interface Blobs {
  readonly usage: PrivateUsage;
  /** The unit in which space is given out, in bytes. */
  readonly blockBytes: number;
  /**
   * Opens an object, always read-only: an object's bytes never change.
   * @param size its length, if it is known: an object of another one is damaged, and gives -EIO
   */
  openObject(id: ObjectId, size?: number): number;
  /** Creates `private/<ino>`, empty, open for reading and writing. Replaces a leftover file of that name. */
  createPrivate(ino: Ino): number;
  /** Opens the private file. `flags` has O_RDWR or O_RDONLY, plus O_DSYNC or the like. */
  openPrivate(ino: Ino, flags: number): number;
  /**
   * Removes the private file.
   * @param isNamed a record that is on disk may name the file, even if the file was only just made
   */
  removePrivate(ino: Ino, isNamed?: boolean): number;
  /**
   * Returns 0 if no process, nor the kernel, has the private file open or mapped; -EAGAIN if something has;
   * another -errno if this cannot be told.
   */
  isUnused(ino: Ino): number;
  /**
   * True if a store through a mapping changes the mtime of a private file. Not every file system does that: tmpfs
   * does not.
   */
  readonly tellsStores: boolean;
  /** Returns true if the private file's bytes equal the object's; false also if finding out would take long. */
  hasBytesOf(ino: Ino, id: ObjectId): boolean;
  /** Has the file's bytes written back soon; the next flush waits for that before it touches the journal. */
  writeOut(ino: Ino): void;
  /**
   * Makes a finished file in the env's directory the private file of an ino that has none. The file keeps its old
   * name too, so that an interrupted run can be repeated.
   * @param file its name in the env's directory
   */
  adoptPrivate(file: string, ino: Ino): number;
  /** Reads a finished file, given by its name in the env's directory. */
  readPrepared(file: string): Buffer | number;
  statPrivate(ino: Ino, out: BlobStat): number;
  /**
   * Makes `private/<ino>` a copy of the first `length` bytes of the object: a reflink where the file system can,
   * else a copy that keeps holes. Copies of up to 128 KiB are made before it returns (a number); larger ones on
   * the thread pool (a promise). The result is 0 or -errno; on an error nothing is left behind. Calls `made` with
   * a descriptor once the file exists, before any byte is copied.
   * The copy is not fsynced: its record gets FLAG_UNSYNCED, and the delta syncs the copy before it forgets the
   * object. Until then nothing may punch a hole in the copy: after a power cut, a hole means bytes that did not
   * reach the disk.
   */
  copyUp(
    id: ObjectId,
    ino: Ino,
    length: number,
    interrupted: () => boolean,
    made: (fd: number) => void,
  ): number | Promise<number>;
  close(fd: number): void;
  space(out: SpaceStat): number;
}

/** Plain file calls on descriptors, made by the native add-on. All return >= 0 or -errno. */
export interface FileCalls {
  /** Reads from the page cache only; returns -EAGAIN if it would wait for the disk. */
  preadNowait(fd: number, buf: Uint8Array, at: number, length: number, offset: number): number;
  pread(fd: number, buf: Uint8Array, at: number, length: number, offset: number): Promise<number>;
  pwrite(fd: number, buf: Uint8Array, at: number, length: number, offset: number): number;
  ftruncate(fd: number, size: number): number;
  fallocate(fd: number, mode: number, offset: number, length: number): Promise<number>;
  lseek(fd: number, offset: number, whence: number): number;
  /**
   * Returns how many of `length` bytes from `offset` on can be written while the file gets at most `room` bytes more
   * on the disk, in blocks of `block` bytes.
   */
  fitting(fd: number, offset: number, length: number, room: number, block: number): number;
  copyRange(
    fdIn: number,
    offIn: number,
    fdOut: number,
    offOut: number,
    length: number,
  ): Promise<number>;
  /** Sets access and modification time; `atimeNs`/`mtimeNs` may be UTIME_NOW or UTIME_OMIT. */
  futimens(fd: number, atime: number, atimeNs: number, mtime: number, mtimeNs: number): number;
  fsync(fd: number, dataOnly: boolean): Promise<number>;
  /** Fills `out` with the kernel's coarse wall clock, the one that it stamps files with. */
  now(out: { sec: number; nsec: number }): void;
}

/** Capability numbers of linux/capability.h that the core asks about. */
export const CAP_FSETID = 4;
export const CAP_SYS_ADMIN = 21;

/** Questions about the calling process that the kernel leaves to us: its rights, and which call it waits in. */
export interface Capabilities {
  /**
   * Returns true if the process has the capability over the machine's files, not just in a user namespace of its
   * own.
   */
  has(pid: number, capability: number): boolean;
  /** Returns true if `gid` is the process's file system group or one of its supplementary groups. */
  inGroup(pid: number, gid: number): boolean;
  /**
   * Returns true if the thread waits in a call that creates a name (mkdir and the like, but not open). Such a call
   * walks to the last component only once, so the program itself would see an ESTALE there.
   */
  makesName(thread: number): boolean;
  /**
   * Returns true if the thread waits for overlayfs to check whether a dentry that it holds is still good, rather
   * than to look up what the name leads to now.
   */
  revalidates(thread: number): boolean;
}

/** The kernel's side of passthrough: the backing ids of one FUSE connection. Code that may have none holds null. */
export interface Passthrough {
  /** Registers an open descriptor, which the caller may close afterwards. Returns a positive backing id, or -errno. */
  register(fd: number): number;
  release(backingId: number): void;
}

/** A directory that changed, and its parent directory. */
export interface ChangedDir {
  readonly ino: Ino;
  readonly parent: Ino;
}

/** Names and inodes that the kernel has cached and must drop, because they changed. */
export interface Stale {
  /**
   * Names that now lead elsewhere, lead nowhere, or are new. The kernel detaches whatever is mounted on or below
   * such a name, as when a file is removed under a mount: so a name that stays must never be listed here.
   */
  readonly names: readonly DirEntryRef[];
  /** Directories whose listing or attributes changed. */
  readonly dirs: readonly ChangedDir[];
  /** Inodes whose attributes changed. */
  readonly inodes: readonly Ino[];
  /** Nodeids of files whose bytes changed below the env. */
  readonly files?: readonly number[];
}

/** When a read updates the access time: the values are mount options of the same names. */
export type AccessTimes = 'relatime' | 'strictatime' | 'noatime';

/** How the env's mount keeps access times. The fields change if the env is remounted with other flags. */
export interface AccessRules {
  files: AccessTimes;
  dirs: AccessTimes;
}

/**
 * Notifications that the core sends the kernel on its own initiative, from the thread pool. None of these promises
 * rejects.
 */
export interface KernelCaches {
  /** True if the transport tells whose lookup a request is, so that an ESTALE restarts just that path walk. */
  readonly knowsWalkers: boolean;
  /** Marks a nodeid's attributes stale. Resolves once the kernel knows; takes no lock that a request may hold. */
  expireAttributes(node: number): Promise<void>;
  /**
   * Asks the kernel to forget inodes; it keeps those in use. Resolves when the kernel was asked: the FORGET
   * requests that follow say which ones it forgot. Takes no lock that a request may hold.
   */
  forget(nodes: readonly NodeId[]): Promise<void>;
  /**
   * Makes the kernel drop what is stale. Resolves when the kernel has none of it left, not even from an answer
   * that was on its way. Waits for requests in the directories named, so the process must go on answering those
   * meanwhile.
   */
  drop(stale: Stale): Promise<void>;
}
