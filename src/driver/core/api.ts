/**
 * The filesystem as a transport sees it: one method per operation of the kernel protocol. A transport
 * (src/driver/fuse speaks to /dev/fuse; src/driver/fuse-native to libfuse 2) decodes, calls, encodes. It holds no file system
 * state, and this layer never sees a wire byte.
 *
 * Results: >= 0 or an object on success, a negative errno on failure. Where a method may take long it
 * returns a promise *in that case only*; the transport answers later, out of order.
 *
 * Lookup counts: every Inode returned by lookup, mknod, mkdir, symlink, link, create, tmpfile, and
 * every entry taken by a DirSink's `plus`, was counted once; the transport forwards the kernel's FORGETs.
 */
import type { Ino, Name, NodeId, ObjectId } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { FlipOutcome } from './flip.ts';
import type { DiskLimits, LowerTree, SpaceStat } from './ports.ts';
import type { EnvAction } from './set-aside.ts';
import type { TreeDiff } from './tree-diff.ts';

/** The value that an operation returns, or a negative errno. */
export type Result<T> = T | number;

/** The process that makes a request. The transport fills this before each call, from the request header. */
export interface Caller {
  uid: number;
  gid: number;
  pid: number;
  /** The request's id, for interrupt(). */
  request: number;
}

/**
 * A file's attributes, as struct fuse_attr has them: filled by the core, encoded by the transport. Times as in
 * InodeRecord.
 */
export interface Attr {
  ino: number;
  size: number;
  blocks: number;
  atime: number;
  atimeNs: number;
  mtime: number;
  mtimeNs: number;
  ctime: number;
  ctimeNs: number;
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  rdev: number;
  /** The file's birth time in seconds, for STATX; -1 if unknown. */
  btime: number;
  btimeNs: number;
  /**
   * True if size and times may change without the kernel noticing (a shared mapping over passthrough), so it must
   * ask each time.
   */
  volatile: boolean;
}

/** The result of a lookup: its nodeid. Attributes are fetched with `attr()`. */
export interface Node {
  readonly node: NodeId;
}

/** How the kernel is to do I/O on an open file. */
export const IO_CACHED = 0; // page cache over READ and WRITE requests; pages cached before are dropped
export const IO_KEEP = 1; // cached, and pages cached before are still right
export const IO_DIRECT = 2; // READ and WRITE requests, no page cache; mappings of `backingId`
export const IO_PASSTHROUGH = 3; // the kernel reads and writes `backingId` by itself
export const IO_UNCACHED = 4; // READ and WRITE requests, no page cache

/** An open file, as the transport reports it to the kernel. */
export interface Opened {
  /** The handle's number, which the kernel calls fh. */
  readonly fh: number;
  readonly io: number;
  readonly backingId: number;
}

/** The attributes that SETATTR sets; -1 means "leave". A time's Ns may be UTIME_NOW. */
export interface SetAttr {
  mode: number;
  uid: number;
  gid: number;
  size: number;
  atime: number;
  atimeNs: number; // -1 leave
  mtime: number;
  mtimeNs: number; // -1 leave
  ctime: number;
  ctimeNs: number; // -1 leave
  /** The handle the request came through (ftruncate, fchmod), or -1. */
  fh: number;
  /** Clear the set-user-ID and set-group-ID bits: the kernel says the caller may not keep them. */
  killPriv: boolean;
}

/** A SetAttr that changes nothing; callers spread it and set what they mean. */
export const LEAVE: Readonly<SetAttr> = {
  mode: -1,
  uid: -1,
  gid: -1,
  size: -1,
  atime: 0,
  atimeNs: -1,
  mtime: 0,
  mtimeNs: -1,
  ctime: 0,
  ctimeNs: -1,
  fh: -1,
  killPriv: false,
};

/** Nanoseconds that stand for "now" and "leave as it is": see utimensat(2). */
export const UTIME_NOW = 0x3fffffff;
export const UTIME_OMIT = 0x3ffffffe;

/**
 * Receives directory entries. Its methods return false if it is full and did not take the entry. Cookie and
 * ordinal give the entry's place, after which a later listing continues.
 */
export interface DirSink {
  /** Takes a plain entry; `type` is S_IFMT bits. */
  entry(name: Name, ino: number, type: number, cookie: number, ordinal: number): boolean;
  /** Takes an entry for READDIRPLUS: a name with its node, whose attributes are fetched with `attr()`. */
  plus(name: Name, node: Node, type: number, cookie: number, ordinal: number): boolean;
}

/** Returned by read() when the bytes are not in memory: call readLater() then. */
export const READ_LATER = -11; // -EAGAIN, which no local file system answers to a read of a file

/**
 * The operations of one mounted env, as the kernel protocol has them; see the top of this file for results and
 * counts.
 */
export interface FileSystem {
  readonly caller: Caller;

  lookup(parent: NodeId, name: Name): Result<Node>;
  /** Looks up the node itself: `name` ".", which the kernel sends after a restart or for a file handle. */
  lookupDot(node: NodeId): Result<Node>;
  /** Looks up the parent directory: `name` "..". */
  lookupDotDot(node: NodeId): Result<Node>;
  forget(node: NodeId, count: number): void;
  attr(node: NodeId, out: Attr): number;
  /** Sets the attributes, then fills `out` with the new ones. */
  setattr(node: NodeId, set: SetAttr, out: Attr): number | Promise<number>;
  readlink(node: NodeId): Result<string>;

  /** Makes a file; `mode` has the type bits. `umask` is applied here, unless the parent has a default ACL. */
  mknod(parent: NodeId, name: Name, mode: number, umask: number, rdev: number): Result<Node>;
  mkdir(parent: NodeId, name: Name, mode: number, umask: number): Result<Node>;
  symlink(parent: NodeId, name: Name, target: string): Result<Node>;
  link(node: NodeId, parent: NodeId, name: Name): Result<Node>;
  unlink(parent: NodeId, name: Name): number;
  rmdir(parent: NodeId, name: Name): number;
  rename(from: NodeId, fromName: Name, to: NodeId, toName: Name, flags: number): number;

  open(node: NodeId, flags: number, killPriv: boolean): Result<Opened> | Promise<Result<Opened>>;
  /**
   * Creates and opens a file. If the name exists by now, opens that (with O_EXCL: EEXIST). The node is in
   * `created`.
   */
  create(
    parent: NodeId,
    name: Name,
    mode: number,
    umask: number,
    flags: number,
  ): Result<Created> | Promise<Result<Created>>;
  /** Creates a file for O_TMPFILE: it has no name until link(). */
  tmpfile(
    parent: NodeId,
    mode: number,
    umask: number,
    flags: number,
  ): Result<Created> | Promise<Result<Created>>;
  /** Reads into `buf` from index `at`. Returns the number of bytes, READ_LATER, or -errno. */
  read(fh: number, offset: number, length: number, buf: Uint8Array, at: number): number;
  /** Like read(), when it is its turn: then it calls `makeRoom`, and reads into what that returns. */
  readLater(
    fh: number,
    offset: number,
    length: number,
    makeRoom: () => Uint8Array,
  ): Promise<number>;
  /**
   * Writes, and returns the number of bytes written.
   * @param killPriv clear set-ID bits and capabilities first
   * @param durable answer only when the bytes are on disk (O_DSYNC, RWF_DSYNC)
   * @param whole answer an error unless all is written: the kernel writes its page cache back, and would not ask again
   */
  write(
    fh: number,
    offset: number,
    buf: Uint8Array,
    at: number,
    length: number,
    killPriv: boolean,
    durable: boolean,
    whole?: boolean,
  ): number | Promise<number>;
  release(fh: number): void;
  fsync(fh: number, dataOnly: boolean): Promise<number>;
  /** Flushes everything this env has committed, for FSYNCDIR and SYNCFS. */
  sync(): Promise<number>;
  fallocate(fh: number, mode: number, offset: number, length: number): Promise<number>;
  lseek(fh: number, offset: number, whence: number): number;
  copyRange(
    fhIn: number,
    offIn: number,
    fhOut: number,
    offOut: number,
    length: number,
  ): Promise<number>;

  /** Lists a directory from just after a place (0 and 0 at the start) until the sink is full or the directory ends. */
  readdir(node: NodeId, cookie: number, ordinal: number, plus: boolean, sink: DirSink): number;

  statfs(out: SpaceStat): number;

  getxattr(node: NodeId, name: string): Result<Buffer>;
  listxattr(node: NodeId): Result<readonly string[]>;
  /** Sets an extended attribute. `flags`: XATTR_CREATE 1, XATTR_REPLACE 2. `killSgid`: FUSE_SETXATTR_ACL_KILL_SGID. */
  setxattr(node: NodeId, name: string, value: Buffer, flags: number, killSgid: boolean): number;
  removexattr(node: NodeId, name: string): number;

  /** Says that the caller of `request` got a signal: an operation that can be given up half-way soon answers EINTR. */
  interrupt(request: number): void;
  /** Says of a request for a node that was not answered yet what it waits for. */
  explainWait(node: NodeId, request: number): Waiting;
  /** The work of a driver that was killed, and with whose mount this one goes on; null if there was none. */
  readonly before: DoneBefore | null;
  /**
   * Ends the filesystem when the mount is gone: closes handles, drops lookups, and frees the bytes of files
   * without a name.
   */
  destroy(): void;
}

/** An env's filesystem as its driver uses it: the kernel's operations, plus flips and questions about its state. */
export interface EnvFileSystem extends FileSystem {
  /** The lower tree that the env shows; during a flip, the tree of the step it is in. */
  readonly lower: LowerTree;
  /** Takes the env to another stack; see src/driver/core/flip.ts. One flip at a time. */
  flip(change: TreeDiff, acts?: readonly EnvAction[]): Promise<FlipOutcome>;
  /**
   * Called at the mount, before the first request: keeps the env's own files in directories that the templates
   * lost while it was not mounted. Returns the number of such directories.
   */
  keepDirs(): number;
  /**
   * Called at the mount after an unclean end, before the first request: gives back copies of template files that
   * equal the template's file and that nothing has mapped. Returns the number given back.
   * @param inos private files to look at
   */
  giveBackLeft(inos: Iterable<Ino>): number;
  /** Returns true if a program has one of these files, given by absolute paths, open for writing. */
  isOpenForWriting(paths: readonly string[]): boolean;
  /** Lists inodes of older versions that the kernel still holds. */
  gone(): Iterable<GoneInode>;
  /** Bounds what the env takes on disk from now on; its usage must be counted by then, unless there is no limit. */
  limitDisk(limits: DiskLimits): void;
  /** Sees the new files of objects that were replaced. Resolves to the number of open files that go on reading the old ones. */
  readAnew(objects: ReadonlySet<ObjectId>): Promise<number>;
}

/** What is known of a request that was not answered yet. */
export interface Waiting {
  /** A path of the file in the env; null if no name leads to it. */
  readonly path: string | null;
  /** What has to be done first, as "the copy-up of ..."; null if only the disk is known to be waited for. */
  readonly what: string | null;
}

/** An inode that a flip removed, but that is still in use. */
export interface GoneInode {
  readonly record: InodeRecord;
  /** The lower tree in which the env last had it. */
  readonly lower: LowerTree;
}

/** What a driver did before it was killed. The kernel sends again what it did not answer. */
export interface DoneBefore {
  /** Returns true if it carried a request out by a change of names or attributes. */
  isDone(request: number): boolean;
  /** Returns the file that it opened for a request; null if it did not, or if it is closed. */
  opened(request: number): Created | null;
}

/** A file that was created and opened in one request. */
export interface Created extends Opened {
  readonly created: Node;
}
