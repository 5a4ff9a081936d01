/**
 * Reads a directory tree into a TreeNode, and its files into objects. It stays on one file system, and follows
 * no symlinks.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { ENODATA, ENOENT, EOPNOTSUPP } from '../../base/errno.ts';
import { ByrefError } from '../../base/error.ts';
import { nameFromBytes } from '../../base/ids.ts';
import { isDir, isLnk, isReg, S_IFMT, S_IFSOCK } from '../../base/mode.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, native, STAT, STAT_SLOTS } from '../../native/binding.ts';
import type { ObjectWriter } from '../../store/object-writer.ts';
import type { OnProgress, OnWarning, TreeNode } from './tree.ts';
import { REPORT_EVERY } from './tree.ts';

/** The directory to read. */
export interface DirectorySource {
  readonly path: string;
  /** A directory that is left out wherever it is met: the root that is imported into. */
  readonly exclude: string;
}

const SLASH = Buffer.from('/');
/** How many entries are read between two reports of progress. */

/** Reads the tree. @throws ByrefError 'notFound' if there is no such directory, 'badInput' for what can't be read */
export async function readDirectory(
  source: DirectorySource,
  writer: ObjectWriter,
  progress: OnProgress,
  warn: OnWarning,
): Promise<TreeNode> {
  const reader = new DirectoryReader(source, writer, progress, warn);
  const tree = await reader.read();
  await writer.finish();
  return tree;
}

class DirectoryReader {
  private readonly writer: ObjectWriter;
  private readonly progress: OnProgress;
  private readonly warn: OnWarning;
  private readonly root: Buffer;
  private readonly stat = new Float64Array(STAT_SLOTS);
  private readonly excluded: { dev: number; ino: number };
  private dev = 0;
  /** Files with several names, by inode. */
  private readonly linked = new Map<number, TreeNode>();
  private files = 0;
  private bytes = 0;

  constructor(
    source: DirectorySource,
    writer: ObjectWriter,
    progress: OnProgress,
    warn: OnWarning,
  ) {
    this.writer = writer;
    this.progress = progress;
    this.warn = warn;
    this.root = Buffer.from(source.path);
    this.statPath(Buffer.from(source.exclude), 0);
    this.excluded = { dev: this.stat[STAT.dev]!, ino: this.stat[STAT.ino]! };
  }

  async read(): Promise<TreeNode> {
    // The root itself may be given through a symlink; symlinks below it are not followed.
    this.statPath(this.root, 0);
    this.dev = this.stat[STAT.dev]!;
    const root = this.node(this.root);
    if (root.children === null) {
      throw new ByrefError(
        'badInput',
        `${this.root.toString()} is not a directory`,
        'Name a tree.',
      );
    }
    const left: { path: Buffer; node: TreeNode }[] = [{ path: this.root, node: root }];
    for (let dir = left.pop(); dir !== undefined; dir = left.pop()) {
      await this.readEntries(dir.path, dir.node, left);
    }
    return root;
  }

  private async readEntries(
    path: Buffer,
    dir: TreeNode,
    subdirectories: { path: Buffer; node: TreeNode }[],
  ): Promise<void> {
    for (const bytes of this.entriesOf(path)) {
      const child = Buffer.concat([path, SLASH, bytes]);
      if (!this.statPath(child, AT_SYMLINK_NOFOLLOW) || !this.accepts(child)) continue;
      const shared = this.linked.get(this.stat[STAT.ino]!);
      const node = shared ?? this.node(child);
      dir.children?.set(nameFromBytes(bytes), node);
      this.count();
      if (shared !== undefined) continue;
      if (node.children !== null) subdirectories.push({ path: child, node });
      else if (isReg(node.mode) && node.size > 0) await this.addContent(child, node);
    }
  }

  private entriesOf(path: Buffer): Buffer[] {
    try {
      return readdirSync(path, 'buffer');
    } catch (cause) {
      throw unreadable(path, cause as Error);
    }
  }

  /** Fills `stat`; returns false if the name disappeared meanwhile. */
  private statPath(path: Buffer, flags: number): boolean {
    const result = native.statAt(AT_FDCWD, path, this.stat, flags);
    if (result === -ENOENT && flags !== 0) return false;
    if (result < 0) throw unreadable(path, new Error(`errno ${-result}`));
    return true;
  }

  private accepts(path: Buffer): boolean {
    const { stat } = this;
    if ((stat[STAT.mode]! & S_IFMT) === S_IFSOCK) {
      this.warn(`${path.toString()}: a socket, skipped`);
      return false;
    }
    if (stat[STAT.dev] !== this.dev) {
      this.warn(`${path.toString()}: another file system is mounted there, skipped`);
      return false;
    }
    return stat[STAT.ino] !== this.excluded.ino || stat[STAT.dev] !== this.excluded.dev;
  }

  /** Makes the node of the path for which `stat` was just filled. */
  private node(path: Buffer): TreeNode {
    const { stat } = this;
    const mode = stat[STAT.mode]!;
    const node: TreeNode = {
      mode,
      uid: stat[STAT.uid]!,
      gid: stat[STAT.gid]!,
      rdev: stat[STAT.rdev]!,
      atime: stat[STAT.atime]!,
      atimeNs: stat[STAT.atimeNs]!,
      mtime: stat[STAT.mtime]!,
      mtimeNs: stat[STAT.mtimeNs]!,
      ctime: stat[STAT.ctime]!,
      ctimeNs: stat[STAT.ctimeNs]!,
      size: isReg(mode) ? stat[STAT.size]! : 0,
      object: '',
      target: isLnk(mode) ? readlinkSync(path, 'buffer').toString('latin1') : '',
      xattrs: readXattrs(path),
      children: isDir(mode) ? new Map() : null,
    };
    if (!isDir(mode) && stat[STAT.nlink]! > 1) this.linked.set(stat[STAT.ino]!, node);
    return node;
  }

  private async addContent(path: Buffer, node: TreeNode): Promise<void> {
    const wait = this.writer.addFile(path, node.size, (id, size) => {
      node.size = size;
      node.object = size === 0 ? '' : id;
      this.bytes += size;
    });
    if (wait !== null) await wait;
  }

  private count(): void {
    this.files++;
    if (this.files % REPORT_EVERY === 0) {
      this.progress({ phase: 'read', files: this.files, bytes: this.bytes });
    }
  }
}

/** Returns the extended attributes by name, or null if there are none. */
function readXattrs(path: Buffer): Map<string, Buffer> | null {
  const list = native.listXattr(path);
  if (typeof list === 'number') {
    if (list === -EOPNOTSUPP || list === -ENOENT) return null;
    throw unreadable(path, new Error(`listxattr: errno ${-list}`));
  }
  if (list.length === 0) return null;
  const xattrs = new Map<string, Buffer>();
  for (const name of list.toString('utf8').split('\0')) {
    if (name === '') continue;
    const value = native.getXattr(path, name);
    if (typeof value !== 'number') xattrs.set(name, value);
    else if (value !== -ENODATA) throw unreadable(path, new Error(`getxattr: errno ${-value}`));
  }
  return xattrs.size === 0 ? null : xattrs;
}

function unreadable(path: Buffer, cause: Error): ByrefError {
  const message = `${path.toString()} can't be read: ${cause.message}`;
  return new ByrefError('badInput', message, 'Check the path, and run byref as root.', { cause });
}
