import { S_ISGID, S_ISUID, S_IXGRP } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { CAP_FSETID, type Capabilities } from './ports.ts';

/** The xattr of file capabilities: a program's privileges, which must not survive a write to its bytes. */
export const CAPABILITY_XATTR = 'security.capability';

/** Returns true if writes must come to us because they take privileges away: set-ID bits or capabilities. */
export function isPrivileged(record: InodeRecord): boolean {
  if ((record.mode & (S_ISUID | S_ISGID)) !== 0) return true;
  return record.xattrs?.has(CAPABILITY_XATTR) ?? false;
}

/**
 * Returns mode and xattrs after a write, truncate or chown, as FUSE_HANDLE_KILLPRIV_V2 asks. Capabilities always
 * go. Set-ID bits go if `dropIds` says that the caller may not keep them; set-group-ID without group execute (once
 * a mark for mandatory locking) stays if `keepsGroupId` says so.
 */
export function withoutPrivileges(
  record: InodeRecord,
  dropIds: boolean,
  keepsGroupId: (record: InodeRecord) => boolean,
): Pick<InodeRecord, 'mode' | 'xattrs'> {
  let { mode, xattrs } = record;
  if (dropIds) {
    mode &= ~S_ISUID;
    const stays = (mode & S_ISGID) !== 0 && (mode & S_IXGRP) === 0 && keepsGroupId(record);
    if (!stays) mode &= ~S_ISGID;
  }
  if (xattrs?.has(CAPABILITY_XATTR)) xattrs = withoutXattr(xattrs, CAPABILITY_XATTR);
  return { mode, xattrs };
}

/**
 * Applies Linux's setattr_should_drop_sgid(): members of the file's group keep its bit, and so do callers with
 * CAP_FSETID.
 */
export const keepsGroupId = (capabilities: Capabilities, pid: number) => (record: InodeRecord) =>
  capabilities.inGroup(pid, record.gid) || capabilities.has(pid, CAP_FSETID);

/** Returns the xattrs without one of them; null if none are left. */
export function withoutXattr(xattrs: InodeRecord['xattrs'], name: string): InodeRecord['xattrs'] {
  const rest = new Map(xattrs);
  rest.delete(name);
  return rest.size === 0 ? null : rest;
}
