/**
 * What the filesystem core needs from the world: templates below (`LowerTree`), the env's own changes
 * (`Delta`), places for bytes (`Blobs`), and a kernel that can read and write a file by itself
 * (`Passthrough`). The core knows neither LMDB nor wire bytes; src/driver/process puts the parts together.
 *
 * Errors of operations are negative errno numbers, returned, never thrown: no allocation on the hot
 * path. What is thrown is a bug or damage, and ends that one operation with EIO.
 */
import type { Ino, Name, NodeId, ObjectId } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';

/** A name in a directory. */
export interface DirEntryRef {
  readonly dir: Ino;
  readonly name: Name;
}

/** One name of a template directory. */
export interface LowerEntry {
  readonly name: Name;
  /** nameCookie(name) */
  readonly cookie: number;
  readonly record: InodeRecord;
}

/**
 * The templates under an env, at the versions the env sees, merged: the topmost template that has a
 * name wins; of a directory that several have, the bottommost's attributes count (an app's archive
 * should not change the mode of /tmp). Records are shared values; nobody changes one.
 */
export interface LowerTree {
  /** Changes when the env sees other versions; never 0. */
  readonly stamp: number;
  lookup(dir: Ino, name: Name): InodeRecord | null;
  /** The record of a template inode, wherever its names are; null if no template here has it. */
  inode(ino: Ino): InodeRecord | null;
  /** At most `max` names of `dir` whose cookie is above `after`, in cookie order, groups of equal cookie whole. */
  list(dir: Ino, after: number, max: number): readonly LowerEntry[];
  /** Every (directory, name) that the template links `ino` under: one, but for hard links. */
  names(ino: Ino): readonly DirEntryRef[];
  /** What a directory was when a template of this stack last had it; null if none ever had. */
  lastDir(ino: Ino): InodeRecord | null;
  /** All that the name is in any version of these templates. */
  everAt(dir: Ino, name: Name): readonly InodeRecord[];
  /** A file as a template has it under this name in any version, also one that is not in this stack; null: none has it there. */
  everFile(dir: Ino, name: Name, ino: Ino): InodeRecord | null;
}

/** A name the env added (ino > 0) or removed (ino 0: a whiteout). `type` is S_IFMT bits. */
export interface DeltaName {
  readonly ino: Ino | 0;
  readonly type: number;
}

export interface DeltaEntry extends DeltaName {
  readonly name: Name;
  readonly cookie: number;
}

/**
 * One atomic change of an env: all of it is in the journal, or nothing. The core fills one per
 * operation and commits it before it answers.
 */
export interface Change {
  /** Set a name: to an inode, or (ino 0) to a whiteout. */
  setName(dir: Ino, name: Name, ino: Ino | 0, type: number): void;
  /** Take a name out of the delta: what the templates have there shows again. */
  clearName(dir: Ino, name: Name): void;
  setInode(record: InodeRecord): void;
  clearInode(ino: Ino): void;
}

/** The env's own changes: the in-memory tail of the journal over the link table. */
export interface Delta {
  name(dir: Ino, name: Name): DeltaName | null;
  /** As LowerTree.list, whiteouts included. */
  list(dir: Ino, after: number, max: number): readonly DeltaEntry[];
  /** False if the delta surely has no name in `dir`. */
  hasNames(dir: Ino): boolean;
  inode(ino: Ino): InodeRecord | null;
  /** Directories of the templates (not the env's own) in which the delta may have names. */
  templateDirs(): Iterable<Ino>;
  /** Every name that leads to the inode. Reads all names of the delta: for what is rare. */
  namesOf(ino: Ino): readonly DirEntryRef[];
  /** A private ino never used before in this env, not even before a crash. */
  allocate(): Ino;
  /** Starts a change; one at a time. */
  begin(): Change;
  /**
   * Appends the change to the journal and applies it. Returns 0, or -errno (ENOSPC, EIO) with nothing
   * applied. Not on disk yet: see flush().
   */
  commit(): number;
  /**
   * Before the change that gives a new private file its record is committed: notes on the file itself what that says,
   * so that bytes which a program syncs without our hearing of it are found after a power cut. Changes the file's ctime.
   * @param places the names that the change gives it
   * @param fd a descriptor on the file, which makes it faster, or -1
   * @param early there is more to do before that change, such as a copy of bytes; it is called again then
   */
  tagPrivate(
    record: InodeRecord,
    places: readonly DirEntryRef[],
    fd?: number,
    early?: boolean,
  ): void;
  /** True if that could not be noted: flush() before a program gets at the file by passthrough. */
  needsFlush(ino: Ino): boolean;
  /** True if something was committed since the last flush() began. */
  readonly dirty: boolean;
  /** Resolves to 0 when all that was committed before the call survives a power cut, or to -errno. */
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

/** Free space and inodes, as statfs(2); sizes in units of `bsize` bytes. */
export interface SpaceStat {
  bsize: number;
  blocks: number;
  bfree: number;
  bavail: number;
  files: number;
  ffree: number;
}

/** Where bytes are kept. Descriptors returned are the caller's to close(). -errno on failure. */
export interface Blobs {
  /** Read-only, always: an object's bytes never change. */
  openObject(id: ObjectId): number;
  /** A new, empty `private/<ino>`, opened for reading and writing. EEXIST leftovers are replaced. */
  createPrivate(ino: Ino): number;
  /** The private file, opened with O_RDWR, or O_RDONLY, plus O_DSYNC or the like. */
  openPrivate(ino: Ino, flags: number): number;
  /** @param isNamed a record that is on disk may name the file, also where it was made only just now */
  removePrivate(ino: Ino, isNamed?: boolean): number;
  /**
   * 0 if nobody has the private file open or mapped, in any process or in the kernel; -EAGAIN if somebody has; another
   * -errno where that can't be told.
   */
  isUnused(ino: Ino): number;
  /** True if a store through a mapping moves the mtime of a private file. Not so on every file system: not on tmpfs. */
  readonly tellsStores: boolean;
  /** True if the private file has just the object's bytes; false also where it would take long to find out. */
  hasBytesOf(ino: Ino, id: ObjectId): boolean;
  /** Has the file's bytes written back soon; the next flush waits for that before it touches the journal. */
  writeOut(ino: Ino): void;
  /**
   * Makes a finished file, by its name in the env's directory, the private file of an ino that has none. It keeps its
   * old name too, so that what is cut short can be done again.
   */
  adoptPrivate(file: string, ino: Ino): number;
  /** The bytes of a finished file, by its name in the env's directory. */
  readPrepared(file: string): Buffer | number;
  statPrivate(ino: Ino, out: BlobStat): number;
  /**
   * Makes `private/<ino>` a copy of the first `length` bytes of the object: a reflink where the file
   * system has it, else copied with holes kept. Copies of up to 128 KiB are made before it returns (a number);
   * larger ones on the thread pool (a promise). Resolves to 0 or -errno; on an error nothing is left. Calls `made`
   * with a descriptor on the file when that is there, before any byte is.
   * Not fsynced: the record gets FLAG_UNSYNCED, and the delta syncs before it forgets the object. Until then nothing
   * may make a hole in the copy: after a power cut its holes are what did not get to the disk.
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

/** Plain file calls on descriptors, from the add-on. All return >= 0 or -errno. */
export interface FileCalls {
  /** Reads what is in memory; -EAGAIN if it would wait for the disk. */
  preadNowait(fd: number, buf: Uint8Array, at: number, length: number, offset: number): number;
  pread(fd: number, buf: Uint8Array, at: number, length: number, offset: number): Promise<number>;
  pwrite(fd: number, buf: Uint8Array, at: number, length: number, offset: number): number;
  ftruncate(fd: number, size: number): number;
  fallocate(fd: number, mode: number, offset: number, length: number): Promise<number>;
  lseek(fd: number, offset: number, whence: number): number;
  copyRange(
    fdIn: number,
    offIn: number,
    fdOut: number,
    offOut: number,
    length: number,
  ): Promise<number>;
  /** Sets times; `atimeNs`/`mtimeNs` may be UTIME_NOW or UTIME_OMIT. */
  futimens(fd: number, atime: number, atimeNs: number, mtime: number, mtimeNs: number): number;
  fsync(fd: number, dataOnly: boolean): Promise<number>;
  /** The kernel's coarse wall clock, which is what it stamps files with. */
  now(out: { sec: number; nsec: number }): void;
}

export const CAP_FSETID = 4;
export const CAP_SYS_ADMIN = 21;

/** What a caller may do, and does, where the kernel leaves the question to us. */
export interface Capabilities {
  /** True if the process has the capability over the machine's files, not over a user namespace of its own. */
  has(pid: number, capability: number): boolean;
  /** True if the process's file system group, or one of its supplementary groups, is this one. */
  inGroup(pid: number, gid: number): boolean;
  /**
   * True if the thread waits in a call that makes a name (mkdir and the like, not open): its walk to the last
   * component is made once, and an ESTALE there is the program's to see.
   */
  makesName(thread: number): boolean;
  /**
   * True if the thread waits for overlayfs to learn whether a dentry that it holds is still good: not for what is under
   * the dentry's name now.
   */
  revalidates(thread: number): boolean;
}

/** The kernel's side of passthrough: backing ids of one FUSE connection. Null where there is none. */
export interface Passthrough {
  /** Registers an open descriptor; the caller may close it after. A positive backing id, or -errno. */
  register(fd: number): number;
  release(backingId: number): void;
}

/** A directory that changed, and the one it hangs in. */
export interface ChangedDir {
  readonly ino: Ino;
  readonly parent: Ino;
}

/** What the kernel was told, and is not so any more. */
export interface Stale {
  /**
   * Names that lead elsewhere, or nowhere, or are new. What is mounted on or below one of them is taken
   * off by the kernel, as when a file is removed under a mount: so no name that stays is ever named here.
   */
  readonly names: readonly DirEntryRef[];
  /** Directories with another listing or other attributes. */
  readonly dirs: readonly ChangedDir[];
  /** Inodes that have other attributes. */
  readonly inodes: readonly Ino[];
}

/** When a read moves an access time: as the mount flags of these names say. */
export type AccessTimes = 'relatime' | 'strictatime' | 'noatime';

/** How the env's mount keeps access times. It may be mounted anew with other flags meanwhile: these change then. */
export interface AccessRules {
  files: AccessTimes;
  dirs: AccessTimes;
}

/** What the core tells the kernel on its own account, from the thread pool. Nothing here rejects. */
export interface KernelCaches {
  /** Says whose lookup it is, so that ESTALE makes just that path walk begin again. */
  readonly knowsWalkers: boolean;
  /** A nodeid's attributes are stale. Resolves once the kernel knows; takes no lock that a request may hold. */
  expireAttributes(node: number): Promise<void>;
  /**
   * Asks the kernel to forget inodes, of which it keeps those in use. Resolves when it was asked: what it forgot is in
   * the requests that come next. Takes no lock that a request may hold.
   */
  forget(nodes: readonly NodeId[]): Promise<void>;
  /**
   * Resolves when the kernel has nothing of it any more, also not from an answer that was on its way. Waits for
   * requests in the directories named, so that the process must go on answering them meanwhile.
   */
  drop(stale: Stale): Promise<void>;
}
