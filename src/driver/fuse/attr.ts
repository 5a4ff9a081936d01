import { invariant } from '../../base/assert.ts';
import type { Node, Opened } from '../core/api.ts';
import { type Attr, IO_DIRECT, IO_KEEP, IO_PASSTHROUGH, IO_UNCACHED } from '../core/api.ts';
import { put32, put64, putZeros } from './buffers.ts';
import type { Connection } from './connection.ts';
import { ATTR_OUT, ENTRY_OUT, ENTRY_OUT_BYTES, FOPEN, OPEN_OUT } from './wire.ts';

/** The preferred I/O size in st_blksize, as ext4 gives it. */
const BLOCK_BYTES = 4096;

/** The attributes of the present reply, filled by the core. There is one for the process, like the reply buffer. */
export const attr: Attr = {
  ino: 0,
  size: 0,
  blocks: 0,
  atime: 0,
  atimeNs: 0,
  mtime: 0,
  mtimeNs: 0,
  ctime: 0,
  ctimeNs: 0,
  mode: 0,
  nlink: 0,
  uid: 0,
  gid: 0,
  rdev: 0,
  btime: 0,
  btimeNs: 0,
  volatile: false,
};

/** Returns how long the kernel may keep what is in `attr`, in seconds. */
const attrSeconds = (c: Connection): number => (attr.volatile ? 0 : c.cacheSeconds);

/** Writes struct fuse_attr from `attr`, at word `at`. */
function putAttr(at: number): void {
  put64(at, attr.ino);
  put64(at + 2, attr.size);
  put64(at + 4, attr.blocks);
  put64(at + 6, attr.atime);
  put64(at + 8, attr.mtime);
  put64(at + 10, attr.ctime);
  put32(at + 12, attr.atimeNs);
  put32(at + 13, attr.mtimeNs);
  put32(at + 14, attr.ctimeNs);
  put32(at + 15, attr.mode);
  put32(at + 16, attr.nlink);
  put32(at + 17, attr.uid);
  put32(at + 18, attr.gid);
  put32(at + 19, attr.rdev);
  put32(at + 20, BLOCK_BYTES);
  put32(at + 21, 0);
}

/** Writes struct fuse_attr_out from `attr`. */
export function putAttrOut(c: Connection, at: number): void {
  put64(at + ATTR_OUT.valid, attrSeconds(c));
  put64(at + ATTR_OUT.validNs, 0);
  putAttr(at + ATTR_OUT.attr);
}

/** Writes struct fuse_entry_out for a counted node. Returns -errno if its attributes can't be had. */
export function putEntry(c: Connection, at: number, node: Node): number {
  const error = c.fs.attr(node.node, attr);
  if (error < 0) {
    // The kernel never learns of this node, so it would never forget it.
    c.fs.forget(node.node, 1);
    return error;
  }
  put64(at + ENTRY_OUT.nodeid, node.node);
  put64(at + ENTRY_OUT.generation, 0);
  put64(at + ENTRY_OUT.entryValid, c.cacheSeconds);
  put64(at + ENTRY_OUT.attrValid, attrSeconds(c));
  put64(at + ENTRY_OUT.entryValidNs, 0);
  putAttr(at + ENTRY_OUT.attr);
  return 0;
}

/** Writes an entry that says "no such name", which the kernel keeps like any other. */
export function putNegativeEntry(c: Connection, at: number): void {
  putZeros(at, at + ENTRY_OUT_BYTES / 4);
  put64(at + ENTRY_OUT.entryValid, c.cacheSeconds);
}

function openFlags(io: number): number {
  if (io === IO_PASSTHROUGH) return FOPEN.PASSTHROUGH | FOPEN.NOFLUSH;
  if (io === IO_KEEP) return FOPEN.KEEP_CACHE | FOPEN.NOFLUSH;
  // With both flags, the first decides on reads and writes, the second on mappings.
  if (io === IO_DIRECT) return FOPEN.DIRECT_IO | FOPEN.PASSTHROUGH | FOPEN.NOFLUSH;
  if (io === IO_UNCACHED) return FOPEN.DIRECT_IO | FOPEN.NOFLUSH;
  return FOPEN.NOFLUSH;
}

/** Writes struct fuse_open_out. Only these two kinds of I/O have a backing id. */
export function putOpened(c: Connection, at: number, opened: Opened): void {
  const backed = opened.io === IO_PASSTHROUGH || opened.io === IO_DIRECT;
  invariant(!backed || c.granted.passthrough, 'passthrough without the kernel granting it');
  invariant(backed === opened.backingId > 0, 'a backing id goes with passthrough only');
  put64(at + OPEN_OUT.fh, opened.fh);
  put32(at + OPEN_OUT.openFlags, openFlags(opened.io));
  put32(at + OPEN_OUT.backingId, opened.backingId);
}

/** Bits of struct statx's mask: everything that stat has (0x7ff), and the birth time if known. */
const STATX_BASIC = 0x7ff;
const STATX_BTIME = 0x800;

/** Writes struct fuse_statx_out from `attr`. */
export function putStatxOut(c: Connection, at: number): void {
  putZeros(at, at + 72);
  put64(at, attrSeconds(c));
  const stat = at + 8;
  put32(stat, attr.btime < 0 ? STATX_BASIC : STATX_BASIC | STATX_BTIME);
  put32(stat + 1, BLOCK_BYTES);
  put32(stat + 4, attr.nlink);
  put32(stat + 5, attr.uid);
  put32(stat + 6, attr.gid);
  put32(stat + 7, attr.mode);
  put64(stat + 8, attr.ino);
  put64(stat + 10, attr.size);
  put64(stat + 12, attr.blocks);
  putTime(stat + 16, attr.atime, attr.atimeNs);
  putTime(stat + 20, attr.btime, attr.btimeNs);
  putTime(stat + 24, attr.ctime, attr.ctimeNs);
  putTime(stat + 28, attr.mtime, attr.mtimeNs);
  put32(stat + 32, (attr.rdev >>> 8) & 0xfff);
  put32(stat + 33, (attr.rdev & 0xff) | ((attr.rdev >>> 12) & 0xfff00));
}

function putTime(at: number, seconds: number, nanoseconds: number): void {
  put64(at, seconds);
  put32(at + 2, nanoseconds);
}
