import { S_ISGID, S_ISUID, S_IXGRP } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { CAP_FSETID, type Capabilities } from './ports.ts';

/** File capabilities: a program's privileges, which no write may leave on changed bytes. */
export const CAPABILITY_XATTR = 'security.capability';

/** True if a write must come to us, so that it can take privileges away: set-ID bits or capabilities. */
export function isPrivileged(record: InodeRecord): boolean {
  if ((record.mode & (S_ISUID | S_ISGID)) !== 0) return true;
  return record.xattrs?.has(CAPABILITY_XATTR) ?? false;
}

/**
 * Mode and xattrs after a write, truncate or chown, as FUSE_HANDLE_KILLPRIV_V2 asks: capabilities go
 * always; set-ID bits where `dropIds` says that the caller may not keep them. Set-group-ID without group execute
 * (once a mark for mandatory locking) stays where `keepsGroupId` says so.
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

/** Linux's setattr_should_drop_sgid(): members of the file's group keep its bit, and who has CAP_FSETID. */
export const keepsGroupId = (capabilities: Capabilities, pid: number) => (record: InodeRecord) =>
  capabilities.inGroup(pid, record.gid) || capabilities.has(pid, CAP_FSETID);

export function withoutXattr(xattrs: InodeRecord['xattrs'], name: string): InodeRecord['xattrs'] {
  const rest = new Map(xattrs);
  rest.delete(name);
  return rest.size === 0 ? null : rest;
}
