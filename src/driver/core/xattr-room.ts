/**
 * How much one inode may carry in extended attributes: what ext4 takes with its default blocks of 4 KiB and inodes of
 * 256 bytes. Their names and values lie first in what the inode has room for, then in one block.
 */
import type { InodeRecord } from '../../codec/inode-record.ts';

/** The inode's size, less its fixed fields and the extra ones that it says it has. */
const IN_INODE = 256 - 128 - 32;
const IN_BLOCK = 4096;
const INODE_HEADER = 4;
const BLOCK_HEADER = 32;
const END_MARK = 4;
/** An entry's bytes beside its name and value, which are padded to this many bytes each. */
const ENTRY = 16;
const PAD = 4;
/** Names that take one byte for all of it, and those of which the prefix does. */
const WHOLE = ['system.posix_acl_access', 'system.posix_acl_default'];

/** True if an inode has room for these. */
export function hasRoomFor(xattrs: ReadonlyMap<string, Buffer>): boolean {
  let inode = IN_INODE - INODE_HEADER - END_MARK;
  let block = IN_BLOCK - BLOCK_HEADER - END_MARK;
  for (const [name, value] of xattrs) {
    const bytes = storedBytes(name, value);
    if (bytes <= inode) inode -= bytes;
    else block -= bytes;
  }
  return block >= 0;
}

/** Bytes that they take, headers not counted. */
export function totalBytes(xattrs: InodeRecord['xattrs']): number {
  let bytes = 0;
  for (const [name, value] of xattrs ?? []) bytes += storedBytes(name, value);
  return bytes;
}

function storedBytes(name: string, value: Buffer): number {
  const stored = WHOLE.includes(name) ? '' : name.slice(name.indexOf('.') + 1);
  return ENTRY + padded(Buffer.byteLength(stored)) + padded(value.length);
}

const padded = (bytes: number): number => Math.ceil(bytes / PAD) * PAD;
