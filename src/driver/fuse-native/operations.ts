/**
 * libfuse 2's path operations over the core: one function per operation, which returns the core's result or a
 * promise of it. What libfuse can't carry is listed in limits.ts.
 */
import { ESTALE } from '../../base/errno.ts';
import { type Name, type NodeId, nameToText } from '../../base/ids.ts';
import { O_CREAT, O_RDWR } from '../../base/mode.ts';
import {
  type Attr,
  type Created,
  type FileSystem,
  LEAVE,
  type Node,
  type Opened,
  READ_LATER,
  type Result,
  type SetAttr,
} from '../core/api.ts';
import type { SpaceStat } from '../core/ports.ts';
import { OpenFiles } from './open-files.ts';
import { Paths } from './paths.ts';
import { entryWords, spaceWords, statWords } from './wire.ts';

type Later<T> = T | Promise<T>;

/** How often an operation follows a file that was copied up under it to its new node. */
const MAX_TRIES = 3;
/** chown's "leave as it is". */
const KEEP_ID = 0xffffffff;
/** The content of a directory. */
export interface Listing {
  readonly names: string[];
  /** The words of struct stat, for each name. */
  readonly stats: Uint32Array[];
}

/** The operations of one mounted env, by path, as libfuse 2 has them. */
export class Operations {
  readonly #fs: FileSystem;
  readonly #paths: Paths;
  readonly files: OpenFiles;
  readonly #attr = {} as Attr;
  readonly #space = {} as SpaceStat;

  constructor(fs: FileSystem) {
    this.#fs = fs;
    this.#paths = new Paths(fs);
    this.files = new OpenFiles(fs, this.#paths);
  }

  // Attributes

  getattr(path: string): Result<Uint32Array> {
    return this.#paths.with(path, (node) => this.#attrOf(node));
  }

  /** Goes by handle: the path may be another file's by now. */
  fgetattr(path: string, fh: number): Result<Uint32Array> {
    const node = this.files.node(fh);
    return node === undefined ? this.getattr(path) : this.#attrOf(node);
  }

  chmod(path: string, mode: number): Later<number> {
    return this.#setattr(path, { mode });
  }

  chown(path: string, uid: number, gid: number): Later<number> {
    const id = (value: number): number => (value === KEEP_ID ? -1 : value);
    return this.#setattr(path, { uid: id(uid), gid: id(gid) });
  }

  /** Sets both times, given in milliseconds. */
  utimens(path: string, atime: number, mtime: number): Later<number> {
    const [a, m] = [split(atime), split(mtime)];
    return this.#setattr(path, { atime: a.sec, atimeNs: a.nsec, mtime: m.sec, mtimeNs: m.nsec });
  }

  truncate(path: string, size: number): Later<number> {
    return this.#setattr(path, { size });
  }

  ftruncate(path: string, fh: number, size: number): Later<number> {
    const node = this.files.node(fh);
    if (node === undefined) return this.truncate(path, size);
    return this.#fs.setattr(node, { ...LEAVE, size, fh }, this.#attr);
  }

  readlink(path: string): Result<string> {
    return this.#paths.with(path, (node) => {
      const target = this.#fs.readlink(node);
      return typeof target === 'number' ? target : Buffer.from(target, 'latin1').toString('utf8');
    });
  }

  statfs(): Result<Uint32Array> {
    const error = this.#fs.statfs(this.#space);
    return error < 0 ? error : spaceWords(this.#space);
  }

  // Names

  readdir(path: string): Result<Listing> {
    return this.#paths.with(path, (node) => this.#list(node));
  }

  mknod(path: string, mode: number, rdev: number): number {
    // The kernel has already applied the umask, here and in mkdir and create.
    return this.#made(path, (parent, name) => this.#fs.mknod(parent, name, mode, 0, rdev));
  }

  mkdir(path: string, mode: number): number {
    return this.#made(path, (parent, name) => this.#fs.mkdir(parent, name, mode, 0));
  }

  symlink(target: string, path: string): number {
    const bytes = Buffer.from(target, 'utf8').toString('latin1');
    return this.#made(path, (parent, name) => this.#fs.symlink(parent, name, bytes));
  }

  link(from: string, to: string): number {
    return this.#paths.with(from, (node) =>
      this.#made(to, (parent, name) => this.#fs.link(node, parent, name)),
    );
  }

  unlink(path: string): number {
    return this.#paths.withPlace(path, ({ parent, name }) => this.#fs.unlink(parent, name));
  }

  rmdir(path: string): number {
    return this.#paths.withPlace(path, ({ parent, name }) => this.#fs.rmdir(parent, name));
  }

  rename(from: string, to: string): number {
    return this.#paths.withPlace(from, (old) =>
      this.#paths.withPlace(to, ({ parent, name }) =>
        this.#fs.rename(old.parent, old.name, parent, name, 0),
      ),
    );
  }

  // Open files

  /** Opens a file. Returns the handle's number, above 0. */
  open(path: string, flags: number): Later<number> {
    return this.#following(() => {
      const found = this.#paths.take(path);
      if (typeof found === 'number') return found;
      return then(this.#fs.open(found.node, flags, false), (opened) =>
        this.#opened(found.node, opened),
      );
    });
  }

  create(path: string, mode: number): Later<number> {
    return this.#paths.withPlace(path, ({ parent, name }) =>
      then(this.#fs.create(parent, name, mode, 0, O_RDWR | O_CREAT), (created) =>
        typeof created === 'number' ? created : this.#created(created),
      ),
    );
  }

  /** Reads into `buf`. Returns the number of bytes. */
  read(fh: number, buf: Buffer, length: number, offset: number): Later<number> {
    const count = this.#fs.read(fh, offset, length, buf, 0);
    return count === READ_LATER ? this.#fs.readLater(fh, offset, length, () => buf) : count;
  }

  /** Writes from `buf`. Returns the number of bytes. The kernel has already taken set-ID bits away, by chmod. */
  write(fh: number, buf: Buffer, length: number, offset: number): Later<number> {
    // libfuse does not say that a write syncs; the kernel asks for an fsync after it.
    return this.#fs.write(fh, offset, buf, 0, length, false, false);
  }

  fsync(fh: number, dataOnly: boolean): Promise<number> {
    return this.#fs.fsync(fh, dataOnly);
  }

  fsyncdir(): Promise<number> {
    return this.#fs.sync();
  }

  release(fh: number): number {
    this.files.close(fh);
    return 0;
  }

  // Extended attributes

  getxattr(path: string, name: string): Result<Buffer> {
    return this.#paths.with(path, (node) => this.#fs.getxattr(node, name));
  }

  /** Returns the names, each ended by a 0 byte. */
  listxattr(path: string): Result<Buffer> {
    return this.#paths.with(path, (node) => {
      const names = this.#fs.listxattr(node);
      if (typeof names === 'number') return names;
      return Buffer.from(names.map((name) => `${name}\0`).join(''), 'utf8');
    });
  }

  setxattr(path: string, name: string, value: Buffer, flags: number): number {
    return this.#paths.with(path, (node) => this.#fs.setxattr(node, name, value, flags, false));
  }

  removexattr(path: string, name: string): number {
    return this.#paths.with(path, (node) => this.#fs.removexattr(node, name));
  }

  // Shared by several

  #attrOf(node: NodeId): Result<Uint32Array> {
    const error = this.#fs.attr(node, this.#attr);
    return error < 0 ? error : statWords(this.#attr);
  }

  #setattr(path: string, set: Partial<SetAttr>): Later<number> {
    const own = { ...LEAVE, ...set };
    return this.#following(() =>
      this.#paths.with(path, (node) => this.#fs.setattr(node, own, this.#attr)),
    );
  }

  /** Repeats an operation if the file got a new node meanwhile (ESTALE), as the kernel does for its own lookups. */
  #following(act: () => Later<number>, tries = MAX_TRIES): Later<number> {
    return then(act(), (result) =>
      result === -ESTALE && tries > 1 ? this.#following(act, tries - 1) : result,
    );
  }

  #made(path: string, make: (parent: NodeId, name: Name) => Result<Node>): number {
    return this.#paths.withPlace(path, ({ parent, name }) => {
      const made = make(parent, name);
      if (typeof made === 'number') return made;
      this.#paths.drop(made.node);
      return 0;
    });
  }

  #opened(node: NodeId, opened: Result<Opened>): number {
    if (typeof opened === 'number') {
      this.#paths.drop(node);
      return opened;
    }
    this.files.add(opened.fh, node);
    return opened.fh;
  }

  #created(created: Created): number {
    this.files.add(created.fh, created.created.node);
    return created.fh;
  }

  #list(node: NodeId): Result<Listing> {
    const names: string[] = [];
    const stats: Uint32Array[] = [];
    const entry = (name: Name, ino: number, type: number): boolean => {
      names.push(nameToText(name));
      stats.push(entryWords(ino, type));
      return true;
    };
    const plus = (): boolean => false;
    const error = this.#fs.readdir(node, 0, 0, false, { entry, plus });
    return error < 0 ? error : { names, stats };
  }
}

/** Continues with a result, now or when it arrives. */
function then<T, R>(value: Later<T>, next: (value: T) => Later<R>): Later<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

function split(milliseconds: number): { sec: number; nsec: number } {
  const sec = Math.floor(milliseconds / 1000);
  return { sec, nsec: (milliseconds - sec * 1000) * 1e6 };
}
