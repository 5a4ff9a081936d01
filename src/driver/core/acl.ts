/**
 * POSIX ACLs as Linux keeps them in xattrs (linux/posix_acl_xattr.h): u32 version 2, then entries of u16 tag, u16
 * permissions, u32 id, little endian, in tag order. With FUSE_POSIX_ACL the kernel checks them, and leaves to us
 * what a local file system does: inherit default ACLs, and keep mode and ACL in step.
 */
import { isDir, S_IFLNK, S_IFMT } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';

/** The xattr that holds a file's access ACL. */
export const ACL_ACCESS = 'system.posix_acl_access';
/** The xattr that holds a directory's default ACL, which new files in it inherit. */
export const ACL_DEFAULT = 'system.posix_acl_default';

type Xattrs = InodeRecord['xattrs'];

const VERSION = 2;
const HEADER = 4;
const ENTRY = 8;
const USER_OBJ = 0x01;
const GROUP_OBJ = 0x04;
const MASK = 0x10;
const OTHER = 0x20;
/** USER_OBJ, GROUP_OBJ and OTHER: an ACL of just these says no more than the mode does. */
const MINIMAL_ENTRIES = 3;

/** Returns true if the value is an ACL: right version, whole entries, and the three mandatory ones present. */
export function isAcl(value: Buffer): boolean {
  if (value.length < HEADER || (value.length - HEADER) % ENTRY !== 0) return false;
  if (value.readUInt32LE(0) !== VERSION) return false;
  return [USER_OBJ, GROUP_OBJ, OTHER].every((tag) => find(value, tag) >= 0);
}

/** Returns true if the ACL has no entries; setting such a value removes the ACL. */
export const isEmptyAcl = (value: Buffer): boolean => value.length === HEADER;

/** Returns the permission bits that an access ACL stands for. */
export function modeOfAcl(value: Buffer): number {
  return (perm(value, USER_OBJ) << 6) | (perm(value, groupTag(value)) << 3) | perm(value, OTHER);
}

/** Returns true if the ACL has entries that the permission bits cannot express. */
export const saysMoreThanMode = (value: Buffer): boolean =>
  (value.length - HEADER) / ENTRY > MINIMAL_ENTRIES;

/** Returns the xattrs after a chmod: the access ACL's owner, mask (or group) and other entries take the mode's bits. */
export function aclAfterChmod(xattrs: Xattrs, mode: number): Xattrs {
  const acl = xattrs?.get(ACL_ACCESS);
  if (acl === undefined) return xattrs;
  const next = Buffer.from(acl);
  setPerm(next, USER_OBJ, (mode >> 6) & 7);
  setPerm(next, groupTag(next), (mode >> 3) & 7);
  setPerm(next, OTHER, mode & 7);
  return new Map(xattrs).set(ACL_ACCESS, next);
}

/**
 * Returns mode and xattrs of a new file. If the directory has a default ACL, that applies and the umask does not;
 * otherwise the umask applies.
 */
export function inherit(
  parent: InodeRecord,
  mode: number,
  umask: number,
): { mode: number; xattrs: Xattrs } {
  const fallback = parent.xattrs?.get(ACL_DEFAULT);
  if (fallback === undefined || (mode & S_IFMT) === S_IFLNK) {
    return { mode: mode & ~umask, xattrs: null };
  }
  const access = Buffer.from(fallback);
  setPerm(access, USER_OBJ, perm(access, USER_OBJ) & (mode >> 6));
  setPerm(access, groupTag(access), perm(access, groupTag(access)) & (mode >> 3));
  setPerm(access, OTHER, perm(access, OTHER) & mode);
  const xattrs = new Map<string, Buffer>();
  if (saysMoreThanMode(access)) xattrs.set(ACL_ACCESS, access);
  if (isDir(mode)) xattrs.set(ACL_DEFAULT, fallback);
  return { mode: (mode & ~0o777) | modeOfAcl(access), xattrs: xattrs.size === 0 ? null : xattrs };
}

const groupTag = (acl: Buffer): number => (find(acl, MASK) >= 0 ? MASK : GROUP_OBJ);

/** Returns the offset of the first entry with this tag, or -1. */
function find(acl: Buffer, tag: number): number {
  for (let at = HEADER; at + ENTRY <= acl.length; at += ENTRY) {
    if (acl.readUInt16LE(at) === tag) return at;
  }
  return -1;
}

function perm(acl: Buffer, tag: number): number {
  const at = find(acl, tag);
  return at < 0 ? 0 : acl.readUInt16LE(at + 2) & 7;
}

function setPerm(acl: Buffer, tag: number, bits: number): void {
  const at = find(acl, tag);
  if (at >= 0) acl.writeUInt16LE(bits & 7, at + 2);
}
