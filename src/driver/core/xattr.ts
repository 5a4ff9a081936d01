import {
  E2BIG,
  EACCES,
  EEXIST,
  EINVAL,
  ENODATA,
  ENOSPC,
  EOPNOTSUPP,
  ERANGE,
} from '../../base/errno.ts';
import type { NodeId } from '../../base/ids.ts';
import { isDir, isLnk, S_ISGID } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { ACL_ACCESS, ACL_DEFAULT, isAcl, isEmptyAcl, modeOfAcl, saysMoreThanMode } from './acl.ts';
import type { Result } from './api.ts';
import { type Core, changed, stamp } from './core.ts';
import type { Inode } from './inode.ts';
import { inodeToChange, pin } from './names.ts';
import { isOverlayOrigin, shownOrigin } from './overlay-origin.ts';
import { CAP_SYS_ADMIN } from './ports.ts';
import { withoutXattr } from './privileges.ts';
import { watchPrivileges } from './set-id-watch.ts';
import { hasRoomFor, totalBytes } from './xattr-room.ts';

const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;
/** The longest name and value that the VFS accepts. */
const XATTR_NAME_MAX = 255;
const XATTR_SIZE_MAX = 65536;
const PREFIXES = ['user.', 'trusted.', 'security.'];

/** Returns an extended attribute's value; -ENODATA or -EOPNOTSUPP if there is none. */
export function getxattr(core: Core, node: NodeId, name: string): Result<Buffer> {
  const inode = core.inodes.get(node);
  if (typeof inode === 'number') return inode;
  const value = inode.record.xattrs?.get(name);
  // For a directory, overlayfs only verifies the origin and makes no dentry of it.
  if (isOverlayOrigin(name) && !isDir(inode.record.mode)) {
    inode.isUpper = true;
    core.noteInode(inode);
    if (value !== undefined) return shownOrigin(value);
  }
  if (value !== undefined) return value;
  return isKnown(name) ? -ENODATA : -EOPNOTSUPP;
}

/** Lists the names of the extended attributes. Only the superuser sees trusted.*, as on local file systems. */
export function listxattr(core: Core, node: NodeId): Result<readonly string[]> {
  const inode = core.inodes.get(node);
  if (typeof inode === 'number') return inode;
  if (inode.record.xattrs === null) return [];
  const names = [...inode.record.xattrs.keys()];
  const shown = names.filter((name) => !name.startsWith('trusted.'));
  if (shown.length === names.length) return names;
  return core.capabilities.has(core.caller.pid, CAP_SYS_ADMIN) ? names : shown;
}

/** Sets an extended attribute. An access ACL also sets the mode. Returns 0 or -errno. */
export function setxattr(
  core: Core,
  node: NodeId,
  name: string,
  value: Buffer,
  flags: number,
  killSgid: boolean,
): number {
  const inode = inodeToChange(core, node);
  if (typeof inode === 'number') return inode;
  const error = check(inode.record, name, value, flags);
  if (error !== 0) return error;
  if (name === ACL_ACCESS || name === ACL_DEFAULT)
    return setAcl(core, inode, name, value, killSgid);
  stamp(core);
  const xattrs = withXattr(inode.record, name, value);
  return save(core, inode, { ...changed(core, inode.record), xattrs });
}

/** Removes an extended attribute. Returns 0 or -errno. */
export function removexattr(core: Core, node: NodeId, name: string): number {
  const inode = inodeToChange(core, node);
  if (typeof inode === 'number') return inode;
  if (!isKnown(name)) return -EOPNOTSUPP;
  // Removing an ACL that is not there succeeds, as in the kernel's own posix_acl code.
  if (!inode.record.xattrs?.has(name)) return name.startsWith('system.') ? 0 : -ENODATA;
  stamp(core);
  const xattrs = withoutXattr(inode.record.xattrs, name);
  return save(core, inode, { ...changed(core, inode.record), xattrs });
}

const isKnown = (name: string): boolean =>
  name === ACL_ACCESS || name === ACL_DEFAULT || PREFIXES.some((prefix) => name.startsWith(prefix));

function check(record: InodeRecord, name: string, value: Buffer, flags: number): number {
  if (!isKnown(name)) return -EOPNOTSUPP;
  if (name.length > XATTR_NAME_MAX) return -ERANGE;
  if (value.length > XATTR_SIZE_MAX) return -E2BIG;
  const exists = record.xattrs?.has(name) ?? false;
  if ((flags & XATTR_CREATE) !== 0 && exists) return -EEXIST;
  if ((flags & XATTR_REPLACE) !== 0 && !exists) return -ENODATA;
  return 0;
}

function setAcl(core: Core, inode: Inode, name: string, value: Buffer, killSgid: boolean): number {
  const { record } = inode;
  if (isLnk(record.mode)) return -EOPNOTSUPP;
  if (name === ACL_DEFAULT && !isDir(record.mode)) return isEmptyAcl(value) ? 0 : -EACCES;
  stamp(core);
  const base = changed(core, record);
  if (isEmptyAcl(value)) {
    return save(core, inode, { ...base, xattrs: withoutXattr(record.xattrs, name) });
  }
  if (!isAcl(value)) return -EINVAL;
  if (name === ACL_DEFAULT) {
    return save(core, inode, { ...base, xattrs: withXattr(record, name, value) });
  }
  let mode = (record.mode & ~0o777) | modeOfAcl(value);
  if (killSgid) mode &= ~S_ISGID;
  const xattrs = saysMoreThanMode(value)
    ? withXattr(record, name, value)
    : withoutXattr(record.xattrs, name);
  return save(core, inode, { ...base, mode, xattrs });
}

const withXattr = (record: InodeRecord, name: string, value: Buffer): InodeRecord['xattrs'] =>
  new Map(record.xattrs).set(name, Buffer.from(value));

/**
 * Returns true if the attributes exceed the room and grow. More than fits can only come with a template; it may
 * then only shrink.
 */
function isTooMuch(before: InodeRecord['xattrs'], after: InodeRecord['xattrs']): boolean {
  if (after === null || hasRoomFor(after)) return false;
  return totalBytes(after) > totalBytes(before);
}

function save(core: Core, inode: Inode, record: InodeRecord): number {
  if (isTooMuch(inode.record.xattrs, record.xattrs)) return -ENOSPC;
  core.tx.begin();
  pin(core, inode);
  core.tx.set(inode, record);
  const error = core.tx.commit();
  if (error === 0) watchPrivileges(core, inode);
  return error;
}
