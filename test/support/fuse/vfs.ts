import { constants } from 'node:os';
import { EEXIST, EISDIR, ENOENT, ENOTDIR, EPERM } from '../../../src/base/errno.ts';
import { type Name, type NodeId, ROOT_INO } from '../../../src/base/ids.ts';
import {
  isDir,
  isLnk,
  isReg,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  PERM_MASK,
  RENAME_NOREPLACE,
  S_IFREG,
} from '../../../src/base/mode.ts';
import {
  type Attr,
  type EnvFileSystem,
  LEAVE,
  type Node,
  type Result,
  type SetAttr,
} from '../../../src/driver/core/api.ts';
import { ACL_XATTR, aclFor } from '../../model/acl.ts';
import { type Operation, type Outcome, SED, type SlotOperation } from '../../model/operation.ts';
import { isSlotOperation } from '../../model/slots.ts';
import { encodeAcl } from '../../syscalls/index.ts';

/** An operation that was refused. */
class Refused extends Error {
  readonly errno: number;
  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

const CODES = new Map(Object.entries(constants.errno).map(([code, errno]) => [errno, code]));

/** What it says, if it is not an errno. */
async function good<T extends object | string | number>(
  result: T | number | Promise<T | number>,
): Promise<T> {
  const said = await result;
  if (typeof said === 'number' && said < 0) throw new Refused(-said);
  return said as T;
}

const fail = (errno: number): never => {
  throw new Refused(errno);
};

const SYMLINKS_MAX = 40;
const ROOT = ROOT_INO as number as NodeId;

interface Slot {
  readonly node: NodeId;
  /** -1: a directory. */
  readonly fh: number;
  readonly writable: boolean;
}

/** The path of a directory entry, for messages, and all that stat says of it. */
export interface Seen {
  readonly path: string;
  readonly attr: Attr;
  readonly content: string;
  readonly xattrs: readonly string[];
}

/**
 * The kernel's part, without any cache: walks paths by lookups, holds what is open, and lets go of the
 * rest at the end of each operation.
 */
export class Vfs {
  private readonly fs: EnvFileSystem;
  private readonly slots = new Map<number, Slot>();
  private held: NodeId[] = [];

  constructor(fs: EnvFileSystem) {
    this.fs = fs;
  }

  async do(step: Operation): Promise<Outcome> {
    this.fs.caller.uid = 0;
    this.fs.caller.gid = 0;
    this.fs.caller.pid = process.pid;
    try {
      const value = isSlotOperation(step) ? this.performOn(step) : this.perform(step);
      return { value: (await value) ?? null };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return { error: CODES.get(error.errno) ?? String(error.errno) };
    } finally {
      const held = this.held;
      this.held = [];
      for (const node of held) this.fs.forget(node, 1);
    }
  }

  closeAll(): void {
    for (const slot of [...this.slots.keys()]) this.close(slot);
  }

  private hold(node: NodeId): NodeId {
    this.held.push(node);
    return node;
  }

  attr(node: NodeId): Attr {
    const out = {} as Attr;
    const error = this.fs.attr(node, out);
    return error < 0 ? fail(-error) : out;
  }

  /** The node of one name; null if there is none. */
  private async child(parent: NodeId, name: string): Promise<NodeId | null> {
    if (!isDir(this.attr(parent).mode)) fail(ENOTDIR);
    // A path walk that is told ESTALE begins again.
    for (let attempt = 0; ; attempt++) {
      const found = this.fs.lookup(parent, name as Name);
      if (typeof found !== 'number') return this.hold(found.node);
      if (found === -ENOENT) return null;
      if (found !== -constants.errno.ESTALE || attempt > 0) fail(-found);
    }
  }

  private async place(path: string, start = ROOT, budget = { left: SYMLINKS_MAX }) {
    const parts = path.split('/');
    const name = parts.pop()!;
    let parent = start;
    for (const part of parts) parent = await this.follow(part, parent, budget);
    return { parent, name: name as Name, node: await this.child(parent, name) };
  }

  private async follow(
    path: string,
    start = ROOT,
    budget = { left: SYMLINKS_MAX },
  ): Promise<NodeId> {
    const { parent, node } = await this.place(path, start, budget);
    if (node === null) return fail(ENOENT);
    if (!isLnk(this.attr(node).mode)) return node;
    if (--budget.left < 0) fail(constants.errno.ELOOP);
    return this.follow(await good(this.fs.readlink(node)), parent, budget);
  }

  private async named(path: string) {
    const { parent, name, node } = await this.place(path);
    return node === null ? fail(ENOENT) : { parent, name, node };
  }

  private async vacant(path: string, start = ROOT) {
    const { parent, name, node } = await this.place(path, start);
    return node === null ? { parent, name } : fail(EEXIST);
  }

  private async made(result: Result<Node>): Promise<null> {
    this.hold((await good(result)).node);
    return null;
  }

  private async set(node: NodeId, changes: Partial<SetAttr>): Promise<void> {
    await good(this.fs.setattr(node, { ...LEAVE, ...changes }, {} as Attr));
  }

  private async perform(step: Exclude<Operation, SlotOperation>): Promise<unknown> {
    const { fs } = this;
    switch (step.op) {
      case 'create': {
        const { parent, name } = await this.vacant(step.path);
        const made = await good(fs.create(parent, name, S_IFREG | 0o644, 0, O_WRONLY));
        this.hold(made.created.node);
        await this.write(made.fh, 0, step.text);
        return fs.release(made.fh);
      }
      case 'write':
        return this.writeTo(await this.follow(step.path), step.offset, step.text);
      case 'syncWrite': {
        const node = await this.follow(step.path);
        await this.writeTo(node, step.offset, step.text);
        const { fh } = await good(this.fs.open(node, O_WRONLY, false));
        await good(this.fs.fsync(fh, true));
        this.fs.release(fh);
        return null;
      }
      case 'rewrite': {
        const node = await this.follow(step.path);
        if (isDir(this.attr(node).mode)) fail(EISDIR);
        const { fh } = await good(this.fs.open(node, O_WRONLY | O_TRUNC, false));
        await this.write(fh, 0, step.text);
        this.fs.release(fh);
        return null;
      }
      case 'append': {
        const node = await this.follow(step.path);
        return this.writeTo(node, this.attr(node).size, step.text);
      }
      case 'truncate': {
        const node = await this.follow(step.path);
        if (isDir(this.attr(node).mode)) fail(EISDIR);
        return this.set(node, { size: step.size });
      }
      case 'read':
        return this.read(await this.follow(step.path));
      case 'mkdir': {
        const { parent, name } = await this.vacant(step.path);
        return this.made(fs.mkdir(parent, name, 0o755, 0));
      }
      case 'symlink': {
        const { parent, name } = await this.vacant(step.path);
        return this.made(fs.symlink(parent, name, step.target));
      }
      case 'unlink': {
        const { parent, name, node } = await this.named(step.path);
        if (isDir(this.attr(node).mode)) fail(EISDIR);
        return good(fs.unlink(parent, name)).then(() => null);
      }
      case 'rmdir': {
        const { parent, name, node } = await this.named(step.path);
        if (!isDir(this.attr(node).mode)) fail(ENOTDIR);
        return good(fs.rmdir(parent, name)).then(() => null);
      }
      case 'link': {
        const { node } = await this.named(step.path);
        const { parent, name } = await this.vacant(step.to);
        if (isDir(this.attr(node).mode)) fail(EPERM);
        return this.made(fs.link(node, parent, name));
      }
      case 'rename': {
        const from = await this.named(step.path);
        const to = await this.place(step.to);
        if (to.node === from.node && step.flags !== RENAME_NOREPLACE) return null;
        await good(fs.rename(from.parent, from.name, to.parent, to.name, step.flags));
        return null;
      }
      case 'readdir':
        return this.list(await this.follow(step.path));
      case 'readlink':
        return good(fs.readlink((await this.named(step.path)).node));
      case 'chmod':
        return this.set(await this.follow(step.path), { mode: step.mode });
      case 'chown':
        return this.chown((await this.named(step.path)).node, step.uid, step.gid);
      case 'utimes': {
        const time = { atime: step.seconds, atimeNs: step.nsec };
        const { node } = await this.named(step.path);
        return this.set(node, { ...time, mtime: step.seconds, mtimeNs: step.nsec });
      }
      case 'setxattr': {
        const { node } = await this.named(step.path);
        if (isLnk(this.attr(node).mode) && step.name.startsWith('user.')) fail(EPERM);
        const value = Buffer.from(step.value);
        return good(fs.setxattr(node, step.name, value, 0, false)).then(() => null);
      }
      case 'removexattr': {
        const { node } = await this.named(step.path);
        if (isLnk(this.attr(node).mode) && step.name.startsWith('user.')) fail(EPERM);
        return good(fs.removexattr(node, step.name)).then(() => null);
      }
      case 'setfacl': {
        const { node } = await this.named(step.path);
        const { mode } = this.attr(node);
        if (!isReg(mode)) fail(constants.errno.EINVAL);
        const acl = encodeAcl(aclFor(mode, step.mask));
        return good(fs.setxattr(node, ACL_XATTR, acl, 0, false)).then(() => null);
      }
      case 'sed': {
        const { parent, name, node } = await this.named(step.path);
        const { mode, uid, gid } = this.attr(node);
        if (!isReg(mode)) fail(constants.errno.EINVAL);
        const made = await good(fs.create(parent, SED as Name, S_IFREG | 0o644, 0, O_WRONLY));
        this.hold(made.created.node);
        await this.write(made.fh, 0, await this.read(node));
        fs.release(made.fh);
        await this.set(made.created.node, { uid, gid });
        await this.set(made.created.node, { mode: mode & PERM_MASK });
        await good(fs.rename(parent, SED as Name, parent, name, 0));
        return null;
      }
      case 'look':
      case 'dropCaches':
      case 'remount':
      case 'kill':
      case 'flip':
        return null;
    }
  }

  private async performOn(step: SlotOperation): Promise<unknown> {
    const { fs } = this;
    switch (step.op) {
      case 'open':
      case 'openRead':
      case 'openDir': {
        if (this.slots.has(step.slot)) this.close(step.slot);
        const node = await this.follow(step.path);
        const directory = isDir(this.attr(node).mode);
        if (directory !== (step.op === 'openDir')) fail(directory ? EISDIR : ENOTDIR);
        const writable = step.op === 'open';
        const flags = writable ? O_RDWR : O_RDONLY;
        const fh = directory ? -1 : (await good(fs.open(node, flags, false))).fh;
        this.held.splice(this.held.lastIndexOf(node), 1);
        return void this.slots.set(step.slot, { node, fh, writable });
      }
      case 'pread': {
        const { fh, node } = this.slot(step.slot);
        return fh < 0 ? fail(EISDIR) : this.readAll(fh, this.attr(node).size);
      }
      case 'fstat': {
        const { nlink, mode, uid, size } = this.attr(this.slot(step.slot).node);
        return { nlink, mode: mode & PERM_MASK, uid, size: isDir(mode) ? 0 : size };
      }
      case 'pwrite': {
        const { fh, writable } = this.slot(step.slot);
        return writable ? this.write(fh, step.offset, step.text) : fail(constants.errno.EBADF);
      }
      case 'ftruncate': {
        const { node, writable } = this.slot(step.slot);
        return writable ? this.set(node, { size: step.size }) : fail(constants.errno.EINVAL);
      }
      case 'reopen':
        return this.writeTo(this.slot(step.slot).node, 0, step.text);
      case 'fchmod':
        return this.set(this.slot(step.slot).node, { mode: step.mode });
      case 'fchown':
        return this.chown(this.slot(step.slot).node, step.uid, step.gid);
      case 'list':
        return this.listOpen(step.slot);
      case 'readAt':
        return this.read(await this.follow(step.name, this.directory(step.slot)));
      case 'mkdirAt': {
        const { parent, name } = await this.vacant(step.name, this.directory(step.slot));
        return this.made(fs.mkdir(parent, name, 0o755, 0));
      }
      case 'close':
        this.slot(step.slot);
        return this.close(step.slot);
    }
  }

  private slot(slot: number): Slot {
    return this.slots.get(slot) ?? fail(constants.errno.EBADF);
  }

  /** One that was removed has nothing in it: libc takes the kernel's ENOENT for the end. */
  private listOpen(slot: number): Name[] {
    const { node, fh } = this.slot(slot);
    if (fh >= 0) fail(ENOTDIR);
    return this.isRemoved(node) ? [] : this.list(node);
  }

  /** A directory that was not removed. */
  private directory(slot: number): NodeId {
    const { node, fh } = this.slot(slot);
    if (fh >= 0) fail(ENOTDIR);
    return this.isRemoved(node) ? fail(ENOENT) : node;
  }

  /** Of an older version its link count is 0, too, and it lists itself. */
  private isRemoved(node: NodeId): boolean {
    const isGone = [...this.fs.gone()].some(({ record }) => record.ino === (node as number));
    return this.attr(node).nlink === 0 && !isGone;
  }

  private close(slot: number): null {
    const { node, fh } = this.slot(slot);
    this.slots.delete(slot);
    if (fh >= 0) this.fs.release(fh);
    this.fs.forget(node, 1);
    return null;
  }

  private chown(node: NodeId, uid: number, gid: number): Promise<void> {
    const killPriv = !isDir(this.attr(node).mode);
    return this.set(node, { uid, gid, killPriv });
  }

  private async writeTo(node: NodeId, offset: number, text: string): Promise<null> {
    if (isDir(this.attr(node).mode)) fail(EISDIR);
    const { fh } = await good(this.fs.open(node, O_WRONLY, false));
    await this.write(fh, offset, text);
    this.fs.release(fh);
    return null;
  }

  private async write(fh: number, offset: number, text: string): Promise<null> {
    const bytes = Buffer.from(text);
    if (bytes.length > 0) {
      await good(this.fs.write(fh, offset, bytes, 0, bytes.length, false, false));
    }
    return null;
  }

  async read(node: NodeId): Promise<string> {
    const { mode, size } = this.attr(node);
    if (isDir(mode)) fail(EISDIR);
    const { fh } = await good(this.fs.open(node, O_RDONLY, false));
    const text = await this.readAll(fh, size);
    this.fs.release(fh);
    return text;
  }

  private async readAll(fh: number, size: number): Promise<string> {
    const buffer = Buffer.alloc(size);
    const length = size === 0 ? 0 : await good(this.fs.readLater(fh, 0, size, () => buffer));
    return buffer.toString('utf8', 0, length);
  }

  list(node: NodeId): Name[] {
    if (!isDir(this.attr(node).mode)) fail(ENOTDIR);
    const names: Name[] = [];
    const entry = (name: Name): boolean => {
      names.push(name);
      return true;
    };
    const error = this.fs.readdir(node, 0, 0, false, { entry, plus: () => false });
    return error < 0 ? fail(-error) : names.filter((name) => !/^[.]{1,2}$/.test(name)).sort();
  }

  /** Every name, parents first. */
  async visit(): Promise<Seen[]> {
    const all: Seen[] = [];
    const below = async (dir: NodeId, prefix: string): Promise<void> => {
      for (const name of this.list(dir)) {
        const node = await this.child(dir, name);
        if (node === null) throw new Error(`${prefix}${name} is listed, and is not there`);
        const attr = this.attr(node);
        const xattrs = (await good(this.fs.listxattr(node))).toSorted();
        const values = await Promise.all(
          xattrs.map(async (key) => `${key}=${String(await good(this.fs.getxattr(node, key)))}`),
        );
        all.push({
          path: prefix + name,
          attr,
          content: await this.content(node, attr),
          xattrs: values,
        });
        if (isDir(attr.mode)) await below(node, `${prefix}${name}/`);
      }
    };
    await below(ROOT, '');
    const held = this.held;
    this.held = [];
    for (const node of held) this.fs.forget(node, 1);
    return all;
  }

  private async content(node: NodeId, { mode }: Attr): Promise<string> {
    if (isDir(mode)) return '';
    return isLnk(mode) ? good(this.fs.readlink(node)) : this.read(node);
  }
}
