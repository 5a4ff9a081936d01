/**
 * The limit on one inode's extended attributes: what ext4 takes with its default blocks of 4 KiB and inodes of 256
 * bytes. Names and values first fill the room in the inode, then one block.
 */
import type { InodeRecord } from '../../codec/inode-record.ts';

/** The inode's size, less its fixed fields and the extra fields that it declares. */
const IN_INODE = 256 - 128 - 32;
const IN_BLOCK = 4096;
const INODE_HEADER = 4;
const BLOCK_HEADER = 32;
const END_MARK = 4;
/** An entry's bytes besides its name and value; these two are each padded to a multiple of PAD bytes. */
const ENTRY = 16;
const PAD = 4;
/** Names that ext4 stores as a one-byte index; of other names, only the prefix is stored so. */
const WHOLE = ['system.posix_acl_access', 'system.posix_acl_default'];

/** Returns true if an inode has room for these attributes. */
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

/** Returns the bytes that these attributes take, without headers. */
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
