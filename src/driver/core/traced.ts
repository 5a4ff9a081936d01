/**
 * A filesystem that notes which program changed what. It wraps the core only if that was asked for: the core knows
 * nothing of it, and an env that is not traced pays nothing.
 */
import { type Ino, inoOf, type Name, type NodeId } from '../../base/ids.ts';
import { O_ACCMODE, O_RDONLY, O_TRUNC, RENAME_EXCHANGE, RENAME_WHITEOUT } from '../../base/mode.ts';
import type { Created, EnvFileSystem, FileSystem, Node, Opened, Result } from './api.ts';
import type { OpenFile } from './resume/records.ts';

/** Receives the notes. The number of a program has a meaning only to the receiver. */
export interface WriterNotes {
  /** The program whose request is being served. Read when a request begins, because the answer may come later. */
  readonly program: number;
  /** Notes that `program` made or changed an inode: its bytes, attributes or names. */
  wrote(ino: Ino, program: number): void;
  /** Notes that `program` took away a name that the templates have. */
  removed(dir: Ino, name: Name, program: number): void;
}

/**
 * The operations that change something, and are noted if they succeed. Opening for writing counts as a change,
 * because most writes do not come by here.
 */
type Changes = Pick<
  FileSystem,
  | 'setattr'
  | 'mknod'
  | 'mkdir'
  | 'symlink'
  | 'link'
  | 'unlink'
  | 'rmdir'
  | 'rename'
  | 'open'
  | 'create'
  | 'tmpfile'
  | 'write'
  | 'release'
  | 'fallocate'
  | 'copyRange'
  | 'setxattr'
  | 'removexattr'
>;

/**
 * Wraps a filesystem so that every change is noted under the program that made it.
 * @param left files that programs have open since before it was there
 */
export function traced(
  fs: EnvFileSystem,
  notes: WriterNotes,
  left: readonly OpenFile[],
): EnvFileSystem {
  // By prototype, not by copy, because `lower` changes at a flip.
  return Object.assign(Object.create(fs) as EnvFileSystem, changes(fs, notes, left));
}

function changes(fs: EnvFileSystem, notes: WriterNotes, left: readonly OpenFile[]): Changes {
  /** Inodes that are open for writing, by handle. */
  const writing = new Map<number, Ino>();
  for (const { fh, node, flags } of left)
    if ((flags & O_ACCMODE) !== O_RDONLY) writing.set(fh, inoOf(node));

  const made = (result: Result<Node>): Result<Node> => {
    if (typeof result !== 'number') notes.wrote(inoOf(result.node), notes.program);
    return result;
  };

  /** Notes `ino` if the result says success. */
  const wrote = <R extends number | Promise<number>>(ino: Ino | undefined, result: R): R => {
    if (ino === undefined) return result;
    const { program } = notes;
    whenKnown<number>(result, (value) => {
      if (value >= 0) notes.wrote(ino, program);
    });
    return result;
  };

  const opened = (ino: Ino, flags: number, program: number, { fh }: Opened): void => {
    notes.wrote(ino, program);
    if ((flags & O_ACCMODE) !== O_RDONLY) writing.set(fh, ino);
  };

  type Creating = Result<Created> | Promise<Result<Created>>;
  const created = (result: Creating, flags: number): Creating => {
    const { program } = notes;
    whenKnown(result, (value) => {
      if (typeof value !== 'number') opened(inoOf(value.created.node), flags, program, value);
    });
    return result;
  };

  const removed = (parent: NodeId, name: Name): void => {
    const dir = inoOf(parent);
    if (fs.lower.lookup(dir, name) !== null) notes.removed(dir, name, notes.program);
  };

  const unlinked = (parent: NodeId, name: Name, result: number): number => {
    if (result >= 0) removed(parent, name);
    return result;
  };

  /** Notes the inode that a name leads to. */
  const found = (parent: NodeId, name: Name): void => {
    const result = made(fs.lookup(parent, name));
    if (typeof result !== 'number') fs.forget(result.node, 1);
  };

  return {
    setattr: (node, set, out) => wrote(inoOf(node), fs.setattr(node, set, out)),
    mknod: (...args) => made(fs.mknod(...args)),
    mkdir: (...args) => made(fs.mkdir(...args)),
    symlink: (...args) => made(fs.symlink(...args)),
    link: (...args) => made(fs.link(...args)),
    unlink: (parent, name) => unlinked(parent, name, fs.unlink(parent, name)),
    rmdir: (parent, name) => unlinked(parent, name, fs.rmdir(parent, name)),
    rename(from, fromName, to, toName, flags) {
      const result = fs.rename(from, fromName, to, toName, flags);
      if (result < 0) return result;
      found(to, toName);
      if ((flags & (RENAME_EXCHANGE | RENAME_WHITEOUT)) !== 0) found(from, fromName);
      else removed(from, fromName);
      return result;
    },
    open(node, flags, killPriv) {
      const result = fs.open(node, flags, killPriv);
      if ((flags & O_ACCMODE) === O_RDONLY && (flags & O_TRUNC) === 0) return result;
      const { program } = notes;
      whenKnown(result, (value) => {
        if (typeof value !== 'number') opened(inoOf(node), flags, program, value);
      });
      return result;
    },
    create: (parent, name, mode, umask, flags) =>
      created(fs.create(parent, name, mode, umask, flags), flags),
    tmpfile: (parent, mode, umask, flags) => created(fs.tmpfile(parent, mode, umask, flags), flags),
    write: (fh, ...args) => wrote(writing.get(fh), fs.write(fh, ...args)),
    release(fh) {
      writing.delete(fh);
      fs.release(fh);
    },
    fallocate: (fh, ...args) => wrote(writing.get(fh), fs.fallocate(fh, ...args)),
    copyRange: (fhIn, offIn, fhOut, ...args) =>
      wrote(writing.get(fhOut), fs.copyRange(fhIn, offIn, fhOut, ...args)),
    setxattr: (node, ...args) => wrote(inoOf(node), fs.setxattr(node, ...args)),
    removexattr: (node, name) => wrote(inoOf(node), fs.removexattr(node, name)),
  };
}

/** Runs `note` on a result, now or when it arrives. An error is left to the caller of the operation. */
function whenKnown<T>(result: T | Promise<T>, note: (value: T) => void): void {
  if (result instanceof Promise) result.then(note, () => undefined);
  else note(result);
}
