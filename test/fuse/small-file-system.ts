/**
 * A real, small file system behind the interface `FileSystem`, to test the protocol layer with: names
 * and attributes in memory, bytes in unlinked files of a directory.
 */
import { EEXIST, EIO, EISDIR, ENODATA, ENOENT, ENOTEMPTY, ESTALE } from '../../src/base/errno.ts';
import { type Name, type NodeId, ROOT_INO } from '../../src/base/ids.ts';
import {
  isDir,
  isReg,
  O_CREAT,
  O_EXCL,
  O_RDWR,
  O_TRUNC,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from '../../src/base/mode.ts';
import { nameCookie } from '../../src/base/name-hash.ts';
import {
  type Attr,
  type Created,
  type DirSink,
  type FileSystem,
  IO_CACHED,
  IO_PASSTHROUGH,
  type Opened,
  READ_LATER,
  type Result,
  type SetAttr,
  UTIME_NOW,
} from '../../src/driver/core/api.ts';
import type { DirEntryRef, SpaceStat } from '../../src/driver/core/ports.ts';
import type { SessionPorts } from '../../src/driver/fuse/ports.ts';
import { AT_FDCWD, native } from '../../src/native/binding.ts';
import { SmallNode } from './small-node.ts';

export interface SmallOptions {
  /** Answer reads later, from the thread pool. */
  readonly late: boolean;
  /** Where bytes go. */
  readonly directory: string;
}

/** An open of this name never ends but by a signal; others by these names fail as they say. */
export const NAME_WAITS = 'waits' as Name;
export const NAME_THROWS = 'throws' as Name;
export const NAME_STALE_ONCE = 'stale-once' as Name;

/** Opens of these names are answered together, once all of them wait. */
export const TOGETHER = ['together-1', 'together-2', 'together-3'] as Name[];

export class SmallFileSystem implements FileSystem {
  readonly before = null;
  readonly caller = { uid: 0, gid: 0, pid: 0, request: 0 };
  private readonly ports: SessionPorts;
  private readonly options: SmallOptions;
  private readonly root = new SmallNode(1, S_IFDIR | 0o755, null);
  private readonly nodes = new Map<NodeId, SmallNode>([[this.root.node, this.root]]);
  private readonly waiting = new Map<number, (result: number) => void>();
  private readonly together: (() => void)[] = [];
  private staleAnswers = 1;
  private nextId = 2;

  constructor(ports: SessionPorts, options: SmallOptions) {
    this.ports = ports;
    this.options = options;
  }

  private get(node: NodeId): SmallNode {
    const found = this.nodes.get(node);
    if (found === undefined) throw new Error(`node ${String(node)} is unknown`);
    return found;
  }

  lookup(parent: NodeId, name: Name): Result<SmallNode> {
    if (name === NAME_THROWS) throw new Error('a bug in the core');
    return this.get(parent).children.get(name)?.counted() ?? -ENOENT;
  }

  lookupDot(node: NodeId): Result<SmallNode> {
    return this.nodes.get(node)?.counted() ?? -ESTALE;
  }

  lookupDotDot(node: NodeId): Result<SmallNode> {
    return this.nodes.get(node)?.parent.counted() ?? -ESTALE;
  }

  forget(node: NodeId, count: number): void {
    const found = this.get(node);
    found.lookups -= count;
    if (found.lookups < 0) throw new Error(`node ${String(node)} forgotten too often`);
  }

  /** The names in the root directory. */
  names(): DirEntryRef[] {
    return [...this.root.children.keys()].map((name) => ({ dir: ROOT_INO, name }));
  }

  known(): NodeId[] {
    return [...this.nodes.keys()];
  }

  /** Nodes the kernel holds, but for the root. */
  held(): number {
    return [...this.nodes.values()].filter((node) => node.lookups > 0).length;
  }

  attr(node: NodeId, out: Attr): number {
    return this.get(node).fill(out);
  }

  setattr(node: NodeId, set: SetAttr, out: Attr): number | Promise<number> {
    const found = this.get(node);
    if (set.mode >= 0) found.mode = (found.mode & S_IFMT) | (set.mode & 0o7777);
    if (set.uid >= 0) found.uid = set.uid;
    if (set.gid >= 0) found.gid = set.gid;
    if (set.killPriv) found.mode &= ~0o6000;
    this.setTime(found, 0, set.atime, set.atimeNs);
    this.setTime(found, 2, set.mtime, set.mtimeNs);
    if (set.size < 0) return found.fill(out);
    return Promise.resolve().then(() => native.ftruncate(found.fd, set.size));
  }

  private setTime(node: SmallNode, slot: number, seconds: number, nanoseconds: number): void {
    if (nanoseconds < 0) return;
    const now = new Float64Array(2);
    native.clock(now);
    const isNow = nanoseconds === UTIME_NOW;
    node.times[slot] = isNow ? (now[0] ?? 0) : seconds;
    node.times[slot + 1] = isNow ? (now[1] ?? 0) : nanoseconds;
  }

  readlink(node: NodeId): Result<string> {
    return this.get(node).target;
  }

  private add(parent: NodeId, name: Name, mode: number): Result<SmallNode> {
    const directory = this.get(parent);
    if (directory.children.has(name)) return -EEXIST;
    const made = this.make(mode, directory);
    directory.children.set(name, made);
    directory.touch();
    return made.counted();
  }

  private make(mode: number, parent: SmallNode): SmallNode {
    const made = new SmallNode(this.nextId++, mode, parent);
    made.uid = this.caller.uid;
    made.gid = this.caller.gid;
    if (isReg(mode)) made.fd = this.backing(made);
    this.nodes.set(made.node, made);
    return made;
  }

  private backing(node: SmallNode): number {
    const file = `${this.options.directory}/${String(node.node)}`;
    const fd = native.openAt(AT_FDCWD, file, O_CREAT | O_RDWR, 0o600);
    native.unlinkAt(AT_FDCWD, file, 0);
    return fd;
  }

  mknod(parent: NodeId, name: Name, mode: number, umask: number, rdev: number): Result<SmallNode> {
    const made = this.add(parent, name, mode & ~umask);
    if (typeof made !== 'number') made.rdev = rdev;
    return made;
  }

  mkdir(parent: NodeId, name: Name, mode: number, umask: number): Result<SmallNode> {
    return this.add(parent, name, S_IFDIR | (mode & ~umask));
  }

  symlink(parent: NodeId, name: Name, target: string): Result<SmallNode> {
    const made = this.add(parent, name, S_IFLNK | 0o777);
    if (typeof made !== 'number') made.target = target;
    return made;
  }

  link(node: NodeId, parent: NodeId, name: Name): Result<SmallNode> {
    const [found, { children }] = [this.get(node), this.get(parent)];
    if (children.has(name)) return -EEXIST;
    children.set(name, found);
    found.nlink++;
    return found.counted();
  }

  unlink(parent: NodeId, name: Name): number {
    const { children } = this.get(parent);
    const found = children.get(name);
    if (found === undefined) return -ENOENT;
    if (isDir(found.mode)) return -EISDIR;
    children.delete(name);
    found.nlink--;
    return 0;
  }

  rmdir(parent: NodeId, name: Name): number {
    const directory = this.get(parent);
    const found = directory.children.get(name);
    if (found === undefined) return -ENOENT;
    if (found.children.size > 0) return -ENOTEMPTY;
    directory.children.delete(name);
    return 0;
  }

  rename(from: NodeId, fromName: Name, to: NodeId, toName: Name, flags: number): number {
    const [source, target] = [this.get(from).children, this.get(to).children];
    const [moved, there] = [source.get(fromName), target.get(toName)];
    if (moved === undefined) return -ENOENT;
    if ((flags & RENAME_NOREPLACE) !== 0 && there !== undefined) return -EEXIST;
    source.delete(fromName);
    target.set(toName, moved);
    if ((flags & RENAME_EXCHANGE) !== 0 && there !== undefined) source.set(fromName, there);
    return 0;
  }

  open(node: NodeId, flags: number): Result<Opened> | Promise<Result<Opened>> {
    const found = this.get(node);
    if (found.parent.children.get(NAME_WAITS) === found) return this.openWaits();
    if (found.parent.children.get(NAME_STALE_ONCE) === found && this.staleAnswers-- > 0) {
      return -ESTALE;
    }
    if ((flags & O_TRUNC) !== 0) native.ftruncate(found.fd, 0);
    if (TOGETHER.some((name) => found.parent.children.get(name) === found)) {
      return this.openTogether(found);
    }
    return this.opened(found);
  }

  /** Answers the opens of TOGETHER when all of them wait, in one go, as a flush does that several opens wait for. */
  private openTogether(node: SmallNode): Promise<Opened> {
    const opened = new Promise<Opened>((resolve) => {
      this.together.push(() => resolve(this.opened(node)));
    });
    if (this.together.length === TOGETHER.length) {
      for (const answer of this.together.splice(0)) answer();
    }
    return opened;
  }

  private openWaits(): Promise<number> {
    return new Promise((resolve) => this.waiting.set(this.caller.request, resolve));
  }

  explainWait() {
    return { path: null, what: null };
  }

  interrupt(request: number): void {
    this.waiting.get(request)?.(-4);
    this.waiting.delete(request);
  }

  private opened(node: SmallNode): Opened {
    const { passthrough } = this.ports;
    if (passthrough === null) return { fh: node.node, io: IO_CACHED, backingId: 0 };
    if (node.backingId === 0) node.backingId = passthrough.register(node.fd);
    return { fh: node.node, io: IO_PASSTHROUGH, backingId: node.backingId };
  }

  create(
    parent: NodeId,
    name: Name,
    mode: number,
    umask: number,
    flags: number,
  ): Result<Created> | Promise<Result<Created>> {
    const there = this.get(parent).children.get(name);
    if (there !== undefined && (flags & O_EXCL) !== 0) return -EEXIST;
    const made = there?.counted() ?? this.add(parent, name, mode & ~umask);
    if (typeof made === 'number') return made;
    const created = { ...this.opened(made), created: made };
    return this.options.late ? Promise.resolve(created) : created;
  }

  tmpfile(parent: NodeId, mode: number, umask: number): Result<Created> {
    const made = this.make(S_IFREG | (mode & ~umask), this.get(parent)).counted();
    made.nlink = 0;
    return { ...this.opened(made), created: made };
  }

  private fd(fh: number): number {
    return this.get(fh as NodeId).fd;
  }

  read(fh: number, offset: number, length: number, buf: Uint8Array, at: number): number {
    if (this.options.late) return READ_LATER;
    return native.pread(this.fd(fh), buf, at, length, offset);
  }

  readLater(
    fh: number,
    offset: number,
    length: number,
    makeRoom: () => Uint8Array,
  ): Promise<number> {
    return native.preadAsync(this.fd(fh), makeRoom(), 0, length, offset);
  }

  write(fh: number, offset: number, buf: Uint8Array, at: number, length: number): number {
    return native.pwrite(this.fd(fh), buf, at, length, offset);
  }

  release(): void {
    // Descriptors live as long as nodes do.
  }

  fsync(fh: number, dataOnly: boolean): Promise<number> {
    return native.fsyncAsync(this.fd(fh), dataOnly);
  }

  sync(): Promise<number> {
    return Promise.resolve(0);
  }

  fallocate(fh: number, mode: number, offset: number, length: number): Promise<number> {
    return native.fallocateAsync(this.fd(fh), mode, offset, length);
  }

  lseek(fh: number, offset: number, whence: number): number {
    return native.lseek(this.fd(fh), offset, whence);
  }

  copyRange(
    fhIn: number,
    offIn: number,
    fhOut: number,
    offOut: number,
    length: number,
  ): Promise<number> {
    return native.copyRangeAsync(this.fd(fhIn), offIn, this.fd(fhOut), offOut, length);
  }

  readdir(node: NodeId, cookie: number, _ordinal: number, plus: boolean, sink: DirSink): number {
    const directory = this.get(node);
    const dots: [string, number, number][] = [
      ['.', directory.node, 1],
      ['..', directory.parent.node, 2],
    ];
    for (const [name, ino, at] of dots) {
      if (at > cookie && !sink.entry(name as Name, ino, S_IFDIR, at, 0)) return 0;
    }
    const sorted = [...directory.children].map(([name, child]) => ({
      name,
      child,
      at: nameCookie(name),
    }));
    sorted.sort((a, b) => a.at - b.at);
    for (const { name, child, at } of sorted) {
      if (at > cookie && !this.emit(sink, plus, name, child, at)) return 0;
    }
    return 0;
  }

  private emit(sink: DirSink, plus: boolean, name: Name, child: SmallNode, at: number): boolean {
    const type = child.mode & S_IFMT;
    if (!plus) return sink.entry(name, child.node, type, at, 0);
    // Counted first: taking an entry may already fail and forget it.
    child.lookups++;
    const taken = sink.plus(name, child, type, at, 0);
    if (!taken) child.lookups--;
    return taken;
  }

  statfs(out: SpaceStat): number {
    Object.assign(out, { bsize: 4096, blocks: 100, bfree: 50, bavail: 40, files: 30, ffree: 20 });
    return 0;
  }

  getxattr(node: NodeId, name: string): Result<Buffer> {
    return this.get(node).xattrs.get(name) ?? -ENODATA;
  }

  listxattr(node: NodeId): readonly string[] {
    return [...this.get(node).xattrs.keys()];
  }

  setxattr(node: NodeId, name: string, value: Buffer): number {
    this.get(node).xattrs.set(name, value);
    return 0;
  }

  removexattr(node: NodeId, name: string): number {
    return this.get(node).xattrs.delete(name) ? 0 : -ENODATA;
  }

  destroy(): void {
    for (const node of this.nodes.values()) if (node.fd >= 0) native.close(node.fd);
    for (const end of this.waiting.values()) end(-EIO);
  }
}
