import { EINVAL, EISDIR } from '../../base/errno.ts';
import type { NodeId } from '../../base/ids.ts';
import { isDir, isLnk, isReg, PERM_MASK, S_IFMT } from '../../base/mode.ts';
import { DATA_PRIVATE, type InodeRecord } from '../../codec/inode-record.ts';
import { accessed } from './access-times.ts';
import { aclAfterChmod } from './acl.ts';
import { type Attr, type SetAttr, UTIME_NOW, UTIME_OMIT } from './api.ts';
import { ctimeIsNewer, emptyBlobStat } from './blob-stat.ts';
import { makePrivate } from './copy-up.ts';
import { type Core, changed, stamp } from './core.ts';
import type { Inode } from './inode.ts';
import { inodeToChange, pin } from './names.ts';
import { dropPrivileges } from './open.ts';
import { CAP_FSETID } from './ports.ts';
import { isPrivileged, keepsGroupId, withoutPrivileges } from './privileges.ts';
import { rewatch, wasWritten, watchPrivileges } from './set-id-watch.ts';
import { syncCopyFirst } from './sync.ts';

const blobStat = emptyBlobStat();

/** Fills in a file's attributes for the kernel. Returns 0 or -errno. */
export function attr(core: Core, node: NodeId, out: Attr): number {
  const inode = core.inodes.get(node);
  if (typeof inode === 'number') return inode;
  if (inode.first !== null && inode.isFirst(node)) return fillRecord(inode.first.record, out);
  return fill(core, inode, out);
}

/** Fills in the inode's present attributes; for private data, size and times are those of the private file. */
export function fill(core: Core, inode: Inode, out: Attr): number {
  const { record } = inode;
  fillRecord(record, out);
  // A write takes privileges away: after it the kernel must not execute the file with the mode that it has cached.
  out.volatile = inode.mayBeMapped || isPrivileged(record);
  if (record.data !== DATA_PRIVATE) return 0;
  if (inode.isNew) {
    inode.isNew = false;
    return 0;
  }
  const error = core.blobs.statPrivate(inode.ino, blobStat);
  if (error < 0) return error;
  out.size = blobStat.size;
  out.blocks = blobStat.blocks;
  out.atime = blobStat.atime;
  out.atimeNs = blobStat.atimeNs;
  out.mtime = blobStat.mtime;
  out.mtimeNs = blobStat.mtimeNs;
  if (wasWritten(inode, blobStat)) {
    const dropped = dropPrivileges(core, inode, true, 0);
    if (dropped < 0) return dropped;
    out.mode = inode.record.mode;
  }
  if (ctimeIsNewer(record, blobStat)) {
    out.ctime = blobStat.ctime;
    out.ctimeNs = blobStat.ctimeNs;
  }
  return 0;
}

function fillRecord(record: InodeRecord, out: Attr): number {
  out.ino = record.ino;
  out.size = record.size;
  out.blocks = record.blocks;
  out.atime = record.atime;
  out.atimeNs = record.atimeNs;
  out.mtime = record.mtime;
  out.mtimeNs = record.mtimeNs;
  out.ctime = record.ctime;
  out.ctimeNs = record.ctimeNs;
  out.mode = record.mode;
  out.nlink = record.nlink;
  out.uid = record.uid;
  out.gid = record.gid;
  out.rdev = record.rdev;
  out.volatile = false;
  out.btime = -1;
  out.btimeNs = 0;
  return 0;
}

/** Sets attributes and fills `out` with the result; a promise if the file must first be copied up. */
export function setattr(
  core: Core,
  node: NodeId,
  set: SetAttr,
  out: Attr,
): number | Promise<number> {
  const inode = inodeToChange(core, node);
  if (typeof inode === 'number') return inode;
  // If the answer comes later, `core.caller` is another process by then.
  const { pid } = core.caller;
  if (set.size < 0) return setThenFill(core, node, inode, set, out, pid);
  if (isDir(inode.record.mode)) return -EISDIR;
  if (!isReg(inode.record.mode)) return -EINVAL;
  const copied = makePrivate(core, inode, set.size);
  if (typeof copied === 'number') return truncate(core, node, inode, copied, set, out, pid);
  // The transport reuses `set` for the next request.
  const own = { ...set };
  return copied.then((error) => truncate(core, node, inode, error, own, out, pid));
}

function truncate(
  core: Core,
  node: NodeId,
  inode: Inode,
  copied: number,
  set: SetAttr,
  out: Attr,
  pid: number,
): number | Promise<number> {
  if (copied < 0) return copied;
  // Copied up under readers: the kernel looks the path up again and comes back with the second nodeid.
  if (inode.isFirst(node)) return inode.refuse();
  inode.copied = null;
  const failed = syncCopyFirst(core, inode);
  if (failed instanceof Promise) {
    const own = { ...set };
    return failed.then((error) => truncate(core, node, inode, error, own, out, pid));
  }
  if (failed < 0) return failed;
  const fd = core.fds.get(inode);
  if (fd < 0) return fd;
  const error = core.files.ftruncate(fd, set.size);
  core.quota.charge(inode.ino, fd);
  if (error === 0 && set.size === 0) inode.wasEmptied = true;
  return error < 0 ? error : setThenFill(core, node, inode, set, out, pid);
}

function setThenFill(
  core: Core,
  node: NodeId,
  inode: Inode,
  set: SetAttr,
  out: Attr,
  pid: number,
): number {
  const error = apply(core, inode, set, pid);
  if (error < 0) return error;
  if (inode.first !== null) void core.caches.expireAttributes(inode.node);
  return attr(core, node, out);
}

function apply(core: Core, inode: Inode, set: SetAttr, pid: number): number {
  stamp(core);
  inode.copied = null;
  const next = { ...changed(core, inode.record) };
  if (set.mode >= 0) {
    next.mode = (next.mode & S_IFMT) | (set.mode & PERM_MASK);
    next.xattrs = aclAfterChmod(next.xattrs, next.mode);
  }
  // Judged by the file's group before this change.
  if (!isDir(next.mode)) takePrivileges(core, set, next, pid);
  if (set.uid >= 0) next.uid = set.uid;
  if (set.gid >= 0) next.gid = set.gid;
  if (setsTime(set)) {
    const error = setTimes(core, inode, set, next);
    if (error < 0) return error;
  }
  if (isOnFile(inode, set, next)) return 0;
  core.tx.begin();
  pin(core, inode);
  core.tx.set(inode, next);
  const committed = core.tx.commit();
  if (committed === 0) watchPrivileges(core, inode);
  return committed;
}

type Writable = { -readonly [K in keyof InodeRecord]: InodeRecord[K] };

/**
 * Removes privileges as Linux does: a truncate takes capabilities, and set-ID bits where the kernel says so; a
 * chown takes both. A request that sets nothing is a chown without a new owner, or precedes a write by passthrough
 * that may not leave the privileges.
 */
function takePrivileges(core: Core, set: SetAttr, next: Writable, pid: number): void {
  if (!isPrivileged(next)) return;
  const chowned = (set.uid >= 0 || set.gid >= 0) && set.mode < 0;
  const empty = setsNothing(set);
  if (!chowned && !empty && !set.killPriv && set.size < 0) return;
  // overlayfs truncates with its own rights, and the kernel then does not say that privileges go: so the caller is
  // always checked.
  const dropIds = set.killPriv || chowned || !core.capabilities.has(pid, CAP_FSETID);
  const keeps = keepsGroupId(core.capabilities, pid);
  Object.assign(next, withoutPrivileges(next, dropIds, keeps));
}

const setsNothing = (set: SetAttr): boolean =>
  set.mode < 0 && set.uid < 0 && set.gid < 0 && set.size < 0 && !setsTime(set) && set.ctimeNs < 0;

/** Returns true if the private file itself holds everything that was set (size, times), and so its ctime too. */
function isOnFile(inode: Inode, set: SetAttr, next: InodeRecord): boolean {
  if (!inode.isPrivateData || set.mode >= 0 || set.uid >= 0 || set.gid >= 0) return false;
  if (set.size < 0 && !setsTime(set)) return false;
  return next.mode === inode.record.mode && next.xattrs === inode.record.xattrs;
}

const setsTime = (set: SetAttr): boolean => set.atimeNs >= 0 || set.mtimeNs >= 0;

function setTimes(core: Core, inode: Inode, set: SetAttr, next: Writable): number {
  const { sec, nsec } = core.clock;
  if (set.atimeNs >= 0) {
    next.atime = set.atimeNs === UTIME_NOW ? sec : set.atime;
    next.atimeNs = set.atimeNs === UTIME_NOW ? nsec : set.atimeNs;
  }
  if (set.mtimeNs >= 0) {
    next.mtime = set.mtimeNs === UTIME_NOW ? sec : set.mtime;
    next.mtimeNs = set.mtimeNs === UTIME_NOW ? nsec : set.mtimeNs;
  }
  if (!inode.isPrivateData) return 0;
  const fd = core.fds.get(inode);
  if (fd < 0) return fd;
  const error = core.files.futimens(
    fd,
    next.atime,
    set.atimeNs < 0 ? UTIME_OMIT : next.atimeNs,
    next.mtime,
    set.mtimeNs < 0 ? UTIME_OMIT : next.mtimeNs,
  );
  rewatch(core, inode);
  return error;
}

/** Returns a symlink's target, or -errno. */
export function readlink(core: Core, node: NodeId): string | number {
  const inode = core.inodes.get(node);
  if (typeof inode === 'number') return inode;
  if (!isLnk(inode.record.mode)) return -EINVAL;
  accessed(core, inode);
  return inode.record.target;
}
