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
import type { Ino, Name, NodeId } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { FlipOutcome } from './flip.ts';
import type { LowerTree, SpaceStat } from './ports.ts';
import type { EnvAct } from './set-aside.ts';
import type { TreeDiff } from './tree-diff.ts';

export type Result<T> = T | number;

/** Who asks: filled by the transport before each call, from the request header. */
export interface Caller {
  uid: number;
  gid: number;
  pid: number;
  /** The request's id, for interrupt(). */
  request: number;
}

/** As struct fuse_attr: filled by the core, encoded by the transport. Times as in InodeRecord. */
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
  /** Seconds of the file's birth, for STATX; -1 where unknown. */
  btime: number;
  btimeNs: number;
  /** Size and times may change behind the kernel (a shared mapping over passthrough): ask each time. */
  volatile: boolean;
}

/** What a lookup yields: the transport needs the nodeid, and attributes through `attr()`. */
export interface Node {
  readonly node: NodeId;
}

/** How the kernel is to do I/O on an open file. */
export const IO_CACHED = 0; // page cache over READ and WRITE requests; pages of before are dropped
export const IO_KEEP = 1; // cached, and what was cached before is still right
export const IO_DIRECT = 2; // READ and WRITE requests, no page cache; mappings of `backingId`
export const IO_PASSTHROUGH = 3; // by itself, on `backingId`

export interface Opened {
  /** Handle number, the kernel's fh. */
  readonly fh: number;
  readonly io: number;
  readonly backingId: number;
}

/** Which attributes SETATTR sets; -1 means "leave". A time's Ns may be UTIME_NOW. */
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
  /** The handle it came through (ftruncate, fchmod), or -1. */
  fh: number;
  /** Clear set-user-ID and set-group-ID: the kernel says the caller may not keep them. */
  killPriv: boolean;
}

/** setattr's "leave as it is". */
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

export const UTIME_NOW = 0x3fffffff;
export const UTIME_OMIT = 0x3ffffffe;

/**
 * Takes directory entries; false means it is full and did not take this one. Cookie and ordinal are the entry's place,
 * after which a listing goes on.
 */
export interface DirSink {
  /** `type` is S_IFMT bits. */
  entry(name: Name, ino: number, type: number, cookie: number, ordinal: number): boolean;
  /** READDIRPLUS: name with its node, whose attributes are fetched with `attr()`. */
  plus(name: Name, node: Node, type: number, cookie: number, ordinal: number): boolean;
}

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const RENAME_WHITEOUT = 4;

/** Returned by read() when the bytes are not in memory: call readLater(). */
export const READ_LATER = -11; // -EAGAIN, which no local file system answers to a read of a file

export interface FileSystem {
  readonly caller: Caller;

  lookup(parent: NodeId, name: Name): Result<Node>;
  /** `name` "." (the node itself, after a restart or for a file handle) and "..". */
  lookupDot(node: NodeId): Result<Node>;
  lookupDotDot(node: NodeId): Result<Node>;
  forget(node: NodeId, count: number): void;
  attr(node: NodeId, out: Attr): number;
  /** Sets, then fills `out`. */
  setattr(node: NodeId, set: SetAttr, out: Attr): number | Promise<number>;
  readlink(node: NodeId): Result<string>;

  /** `umask` is applied here, unless the parent has a default ACL. `mode` has the type bits. */
  mknod(parent: NodeId, name: Name, mode: number, umask: number, rdev: number): Result<Node>;
  mkdir(parent: NodeId, name: Name, mode: number, umask: number): Result<Node>;
  symlink(parent: NodeId, name: Name, target: string): Result<Node>;
  link(node: NodeId, parent: NodeId, name: Name): Result<Node>;
  unlink(parent: NodeId, name: Name): number;
  rmdir(parent: NodeId, name: Name): number;
  rename(from: NodeId, fromName: Name, to: NodeId, toName: Name, flags: number): number;

  open(node: NodeId, flags: number, killPriv: boolean): Result<Opened> | Promise<Result<Opened>>;
  /** Creates and opens; a name that exists meanwhile is opened (O_EXCL: EEXIST). Node in `created`. */
  create(
    parent: NodeId,
    name: Name,
    mode: number,
    umask: number,
    flags: number,
  ): Result<Created> | Promise<Result<Created>>;
  /** O_TMPFILE: a file without a name, until link(). */
  tmpfile(
    parent: NodeId,
    mode: number,
    umask: number,
    flags: number,
  ): Result<Created> | Promise<Result<Created>>;
  /** Bytes read into `buf` from `at`, READ_LATER, or -errno. */
  read(fh: number, offset: number, length: number, buf: Uint8Array, at: number): number;
  readLater(
    fh: number,
    offset: number,
    length: number,
    buf: Uint8Array,
    at: number,
  ): Promise<number>;
  /**
   * Bytes written. `killPriv`: clear set-ID bits and capabilities first. `durable`: they are on disk when it is
   * answered (O_DSYNC, RWF_DSYNC).
   */
  write(
    fh: number,
    offset: number,
    buf: Uint8Array,
    at: number,
    length: number,
    killPriv: boolean,
    durable: boolean,
  ): number | Promise<number>;
  release(fh: number): void;
  fsync(fh: number, dataOnly: boolean): Promise<number>;
  /** FSYNCDIR and SYNCFS: everything this env committed. */
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

  /** Lists from just after a place (at first 0 and 0) until the sink is full or the directory ends. */
  readdir(node: NodeId, cookie: number, ordinal: number, plus: boolean, sink: DirSink): number;

  statfs(out: SpaceStat): number;

  getxattr(node: NodeId, name: string): Result<Buffer>;
  listxattr(node: NodeId): Result<readonly string[]>;
  /** `flags`: XATTR_CREATE 1, XATTR_REPLACE 2. `killSgid`: FUSE_SETXATTR_ACL_KILL_SGID. */
  setxattr(node: NodeId, name: string, value: Buffer, flags: number, killSgid: boolean): number;
  removexattr(node: NodeId, name: string): number;

  /** The caller of `request` got a signal: what can be given up half-way answers EINTR soon. */
  interrupt(request: number): void;
  /** The mount is gone: handles and lookups end, orphans' bytes are freed. */
  destroy(): void;
}

/** What its driver asks of an env's filesystem, beside what the kernel asks. */
export interface EnvFileSystem extends FileSystem {
  /** The layers that it shows; while a flip is under way, those of a step of it. */
  readonly layers: LowerTree;
  /** See src/driver/core/flip.ts. One at a time. */
  flip(change: TreeDiff, acts?: readonly EnvAct[]): Promise<FlipOutcome>;
  /**
   * At the mount, before the first request: keeps what the env has in directories that the templates lost while it was
   * not mounted. Returns how many directories that were.
   */
  keepDirs(): number;
  /**
   * At the mount after one that was cut short, before the first request: gives back copies of template files that are just
   * as the template's, and that nobody has mapped. Returns how many those were. @param inos private files
   */
  giveBackLeft(inos: Iterable<Ino>): number;
  /** True if a program has one of these files, by absolute paths, open for writing. */
  isOpenForWriting(paths: readonly string[]): boolean;
  /** Inodes of older versions that the kernel still holds. */
  gone(): Iterable<GoneInode>;
}

/** An inode that a flip took away and that is in use still. */
export interface GoneInode {
  readonly record: InodeRecord;
  /** What it was seen in. */
  readonly layers: LowerTree;
}

export interface Created extends Opened {
  readonly created: Node;
}
