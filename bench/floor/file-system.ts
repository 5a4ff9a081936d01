/**
 * A file system that does nothing: one directory of 1,000 files of 4 KiB, all answers constant. What
 * is left is the round trip to the kernel and the protocol: the floor of any FUSE server.
 */
import { ENODATA, ENOENT, EROFS } from '../../src/base/errno.ts';
import { type Name, type NodeId, nameFromText } from '../../src/base/ids.ts';
import { S_IFDIR, S_IFREG } from '../../src/base/mode.ts';
import {
  type Attr,
  type DirSink,
  type FileSystem,
  IO_KEEP,
  type Node,
  type Opened,
} from '../../src/driver/core/api.ts';
import type { SpaceStat } from '../../src/driver/core/ports.ts';

export const FILES = 1000;
export const FILE_BYTES = 4096;
const ROOT = 1;
const TIME = 1_000_000_000;

export const fileName = (i: number): string => `file${String(i)}`;

const refused = (): number => -EROFS;
const refusedLater = (): Promise<number> => Promise.resolve(-EROFS);

export class FloorFileSystem implements FileSystem {
  readonly before = null;
  readonly caller = { uid: 0, gid: 0, pid: 0, request: 0 };
  private readonly nodes = new Map<Name, Node>();
  private readonly opened: Opened = { fh: 1, io: IO_KEEP, backingId: 0 };

  constructor() {
    for (let i = 0; i < FILES; i++) {
      this.nodes.set(nameFromText(fileName(i)), { node: (ROOT + 1 + i) as NodeId });
    }
  }

  lookup(_parent: NodeId, name: Name): Node | number {
    return this.nodes.get(name) ?? -ENOENT;
  }

  attr(node: NodeId, out: Attr): number {
    const isRoot = (node as number) === ROOT;
    out.ino = node;
    out.mode = isRoot ? S_IFDIR | 0o755 : S_IFREG | 0o644;
    out.nlink = isRoot ? 2 : 1;
    out.size = FILE_BYTES;
    out.blocks = FILE_BYTES / 512;
    out.atime = out.mtime = out.ctime = out.btime = TIME;
    return 0;
  }

  open(): Opened {
    return this.opened;
  }

  read(_fh: number, offset: number, length: number): number {
    return Math.max(0, Math.min(length, FILE_BYTES - offset));
  }

  readdir(_node: NodeId, cookie: number, _ordinal: number, plus: boolean, sink: DirSink): number {
    let at = 0;
    for (const [name, node] of this.nodes) {
      if (++at <= cookie) continue;
      const taken = plus
        ? sink.plus(name, node, S_IFREG, at, 0)
        : sink.entry(name, node.node, S_IFREG, at, 0);
      if (!taken) break;
    }
    return 0;
  }

  statfs(out: SpaceStat): number {
    Object.assign(out, { bsize: 4096, blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0 });
    return 0;
  }

  lookupDot = (node: NodeId): Node => ({ node });
  lookupDotDot = (): Node => ({ node: ROOT as NodeId });
  forget = (): void => undefined;
  release = (): void => undefined;
  interrupt = (): void => undefined;
  explainWait = () => ({ path: null, what: null });
  destroy = (): void => undefined;
  sync = (): Promise<number> => Promise.resolve(0);
  fsync = (): Promise<number> => Promise.resolve(0);
  getxattr = (): number => -ENODATA;
  listxattr = (): readonly string[] => [];
  readLater = refusedLater;
  fallocate = refusedLater;
  copyRange = refusedLater;
  readlink = refused;
  setattr = refused;
  mknod = refused;
  mkdir = refused;
  symlink = refused;
  link = refused;
  unlink = refused;
  rmdir = refused;
  rename = refused;
  create = refused;
  tmpfile = refused;
  write = refused;
  lseek = refused;
  setxattr = refused;
  removexattr = refused;
}
