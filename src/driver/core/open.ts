import { EISDIR, ENFILE, ENXIO, ESTALE } from '../../base/errno.ts';
import type { NodeId } from '../../base/ids.ts';
import { isDir, isReg, O_ACCMODE, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../base/mode.ts';
import { DATA_NONE, DATA_OBJECT, DATA_PRIVATE, FLAG_SHARED } from '../../codec/inode-record.ts';
import {
  IO_CACHED,
  IO_DIRECT,
  IO_KEEP,
  IO_PASSTHROUGH,
  IO_UNCACHED,
  type Opened,
  type Result,
} from './api.ts';
import { makePrivate } from './copy-up.ts';
import { type Core, changed, stamp } from './core.ts';
import { openBytes } from './fd-cache.ts';
import { giveBack, isFree } from './give-back.ts';
import type { Opener } from './handles.ts';
import type { Backing, Inode } from './inode.ts';
import { isFixed } from './names.ts';
import { CAP_FSETID } from './ports.ts';
import { isPrivileged, keepsGroupId, withoutPrivileges } from './privileges.ts';
import { syncCopyFirst, whenDurable } from './sync.ts';

type Opening = Result<Opened> | Promise<Result<Opened>>;

/**
 * Opens a file for the kernel: makes a private copy first if it is opened for writing, then chooses how I/O is
 * done.
 */
export function open(core: Core, node: NodeId, flags: number, killPriv: boolean): Opening {
  const inode = core.inodes.get(node);
  if (typeof inode === 'number') return inode;
  // The bytes behind the first nodeid are old: the kernel must look the name up again.
  if (inode.isFirst(node)) return inode.refuse();
  if (isDir(inode.record.mode)) return -EISDIR;
  if (!isReg(inode.record.mode)) return -ENXIO;
  if ((flags & O_ACCMODE) === O_RDONLY && (flags & O_TRUNC) === 0)
    return present(core, inode, flags);
  // A writer means the file that has the name now.
  if (isFixed(core, inode)) return -ESTALE;
  // If the answer comes later, `core.caller` is another process by then.
  const by = opener(core);
  const truncates = (flags & O_TRUNC) !== 0;
  const copied = makePrivate(core, inode, truncates ? 0 : inode.record.size);
  if (typeof copied === 'number') return writable(core, inode, node, flags, killPriv, by, copied);
  return copied.then((error) => writable(core, inode, node, flags, killPriv, by, error));
}

function writable(
  core: Core,
  inode: Inode,
  node: NodeId,
  flags: number,
  killPriv: boolean,
  by: Opener,
  copied: number,
): Opening {
  if (copied < 0) return copied;
  if ((flags & O_TRUNC) !== 0) {
    inode.copied = null;
    const failed = syncCopyFirst(core, inode);
    if (failed instanceof Promise) {
      return failed.then((error) => writable(core, inode, node, flags, killPriv, by, error));
    }
    const error = failed < 0 ? failed : empty(core, inode, killPriv, by.pid);
    if (error < 0) return error;
  }
  if (inode.isFirst(node)) return inode.refuse();
  const known = inode.mayBeMapped;
  const presented = present(core, inode, flags, by);
  // The open failed, so no close will come to give the copy back.
  if (typeof presented === 'number' && inode.copied !== null) giveBack(core, inode);
  const opened = whenDurable(core, inode, flags, presented);
  if (known || !inode.mayBeMapped) return opened;
  // The kernel got the attributes with no expiry; from now on it must ask each time.
  return core.caches.expireAttributes(inode.node).then(() => opened);
}

/** Does the O_TRUNC of an open: cuts the file to 0 bytes and drops the privileges that a write would drop. */
function empty(core: Core, inode: Inode, killPriv: boolean, pid: number): number {
  const fd = core.fds.get(inode);
  if (fd < 0) return fd;
  const error = core.files.ftruncate(fd, 0);
  core.quota.charge(inode.ino, fd);
  if (error < 0) return error;
  inode.wasEmptied = true;
  if (!isPrivileged(inode.record)) return 0;
  // overlayfs truncates with its own rights, and the kernel says nothing then.
  const dropIds = killPriv || !core.capabilities.has(pid, CAP_FSETID);
  return dropPrivileges(core, inode, dropIds, pid);
}

/**
 * Clears what a write takes away: capabilities and, if `dropIds`, set-ID bits. Returns 0 or -errno.
 * @param pid the process that changes the file; 0 if not known
 */
export function dropPrivileges(
  core: Core,
  inode: Inode,
  dropIds: boolean,
  pid = core.caller.pid,
): number {
  const kept = withoutPrivileges(inode.record, dropIds, keepsGroupId(core.capabilities, pid));
  if (kept.mode === inode.record.mode && kept.xattrs === inode.record.xattrs) return 0;
  stamp(core);
  core.tx.begin().set(inode, { ...changed(core, inode.record), ...kept });
  return core.tx.commit();
}

/** Returns who makes the present request. */
const opener = ({ caller: { pid, request } }: Core): Opener => ({ pid, request });

/** Opens the inode's present bytes, and chooses how the kernel does I/O on them. */
export function present(
  core: Core,
  inode: Inode,
  flags: number,
  by = opener(core),
): Result<Opened> {
  if (!core.entries.hasRoom) return -ENFILE;
  const io = ioMode(core, inode, flags);
  if (io === IO_CACHED || io === IO_KEEP || io === IO_UNCACHED) {
    inode.cachedOpens++;
    if (io === IO_UNCACHED) inode.uncachedOpens++;
    if (inode.wasUncached !== (io === IO_UNCACHED)) {
      inode.wasUncached = io === IO_UNCACHED;
      core.noteInode(inode);
    }
    return core.handles.open(inode, flags, by, io, null);
  }
  const backing = inode.backing ?? register(core, inode);
  if (typeof backing === 'number') return backing;
  backing.opens++;
  if ((flags & O_ACCMODE) === O_RDWR) inode.mayBeMapped = true;
  inode.backing = backing;
  core.noteInode(inode);
  return core.handles.open(inode, flags, by, io, backing);
}

/**
 * Chooses how the kernel does I/O on this open. Passthrough wherever possible, but not:
 * - for private files of an env whose bytes are limited: we must see all that allocates;
 * - for a template file on the coherent data path, where a reader must see what a later writer writes; nor in an
 *   overlay's upper directory, where the kernel cannot be told of a copy-up under readers;
 * - while another open uses the page cache (the kernel refuses to mix them);
 * - for writers of files whose writes take privileges away: we must see these writes. Their backing id still goes
 *   along, because that is the only way in which the kernel opens a nodeid that has a backing file.
 */
function ioMode(core: Core, inode: Inode, flags: number): number {
  const { record } = inode;
  if (core.passthrough === null) return IO_KEEP;
  if (inode.uncachedOpens > 0) return IO_UNCACHED;
  const writes = (flags & O_ACCMODE) !== O_RDONLY;
  if (core.quota.boundsBytes && record.data === DATA_PRIVATE)
    return boundedMode(core, inode, flags);
  if (writes && isPrivileged(record)) return inode.cachedOpens > 0 ? IO_KEEP : IO_DIRECT;
  if (inode.cachedOpens > 0) return IO_KEEP;
  if (record.data === DATA_PRIVATE) return IO_PASSTHROUGH;
  if (record.data === DATA_NONE) return IO_CACHED;
  // A copy-up under readers by passthrough would need a third nodeid.
  if (inode.first !== null) return IO_KEEP;
  const shared = (record.flags & FLAG_SHARED) !== 0 && !inode.isUpper;
  return shared || inode.isOpen ? IO_PASSTHROUGH : IO_KEEP;
}

/**
 * Chooses how the kernel does I/O on a private file of an env whose bytes are limited. The first writer that does not
 * read can't map the file either: its bytes go by the kernel's page cache, which takes half the time. Others that come
 * meanwhile do so, too, because a page that is read while it is written would stay in the cache as it was.
 */
function boundedMode(core: Core, inode: Inode, flags: number): number {
  const access = flags & O_ACCMODE;
  if (isByPassthrough(core, inode)) return access === O_RDONLY ? IO_PASSTHROUGH : IO_DIRECT;
  if (access === O_WRONLY && inode.cachedOpens === 0) return IO_UNCACHED;
  return inode.wasUncached ? IO_CACHED : IO_KEEP;
}

/**
 * Returns true if a private file is open by passthrough, or may be mapped so, from before its env had a limit. Until
 * the last of these ends the kernel takes no other opens of it.
 */
function isByPassthrough(core: Core, inode: Inode): boolean {
  if ((inode.backing?.opens ?? 0) > 0) return true;
  if (inode.cachedOpens > 0 || !inode.mayBeMapped) return false;
  inode.mayBeMapped = !isFree(core, inode);
  return inode.mayBeMapped;
}

/**
 * Registers the inode's bytes for passthrough.
 * INVARIANT: an object is only ever registered from a read-only descriptor, and its backing id is only ever given
 * to read-only opens (open() copies up before a writer gets here).
 */
function register(core: Core, inode: Inode): Backing | number {
  const fd = openBytes(core.blobs, inode);
  if (fd < 0) return fd;
  return registerFd(core, fd);
}

/** Registers a descriptor for passthrough and closes it: the kernel keeps its own reference. */
export function registerFd(core: Core, fd: number): Backing | number {
  const id = core.passthrough?.register(fd) ?? -ENXIO;
  core.blobs.close(fd);
  return id < 0 ? id : { id, opens: 0 };
}

/** Returns true if this open file still reads the object that its inode left by copy-up. */
export const readsOldObject = (inode: Inode, backing: Backing | null): boolean =>
  backing !== null && backing !== inode.backing && inode.first?.record.data === DATA_OBJECT;
