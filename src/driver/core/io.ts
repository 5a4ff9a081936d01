import { EBADF, EIO, ENOSPC, ENXIO } from '../../base/errno.ts';
import { O_ACCMODE, O_RDONLY } from '../../base/mode.ts';
import { DATA_NONE, DATA_PRIVATE } from '../../codec/inode-record.ts';
import { fillBounded, writeBounded } from './bounded.ts';
import type { Core } from './core.ts';
import { withFd, withFdNow } from './fd-cache.ts';
import type { Handle } from './handles.ts';
import type { Inode } from './inode.ts';
import { dropPrivileges, readsOldObject } from './open.ts';
import { CAP_FSETID } from './ports.ts';
import { isPrivileged } from './privileges.ts';
import { syncCopyFirst, syncInode } from './sync.ts';

/** Reads bytes that are in memory; returns -EAGAIN (READ_LATER) if it would wait for the disk. */
export function read(
  core: Core,
  fh: number,
  offset: number,
  length: number,
  buf: Uint8Array,
  at: number,
): number {
  const { inode } = core.handles.get(fh);
  if (inode.record.data === DATA_NONE) return 0;
  const fd = core.fds.get(inode);
  if (fd < 0) return fd;
  return core.files.preadNowait(fd, buf, at, length, offset);
}

/**
 * Reads bytes on the thread pool, where it may wait for the disk.
 * @param makeRoom returns where to put them; called when the read begins, as many of them may wait
 */
export async function readLater(
  core: Core,
  fh: number,
  offset: number,
  length: number,
  makeRoom: () => Uint8Array,
): Promise<number> {
  const { inode } = core.handles.get(fh);
  return withFd(core.fds, inode, (fd) => core.files.pread(fd, makeRoom(), 0, length, offset));
}

/**
 * Writes bytes, after dropping the privileges that a write takes away. With `durable` it resolves when they are on
 * disk. With `whole`, a write of less than all is an error.
 */
export function write(
  core: Core,
  fh: number,
  offset: number,
  buf: Uint8Array,
  at: number,
  length: number,
  killPriv: boolean,
  durable: boolean,
  whole = false,
): number | Promise<number> {
  const { inode } = core.handles.get(fh);
  if (inode.record.data !== DATA_PRIVATE) return -EBADF;
  inode.copied = null;
  if (isPrivileged(inode.record)) {
    const error = dropPrivileges(core, inode, killPriv);
    if (error < 0) return error;
  }
  const written = writeBytes(core, inode, offset, buf, at, length, whole);
  return durable ? syncWritten(core, fh, written) : written;
}

async function syncWritten(
  core: Core,
  fh: number,
  writing: number | Promise<number>,
): Promise<number> {
  const written = await writing;
  if (written < 0) return written;
  const error = await fsync(core, fh, true);
  return error < 0 ? error : written;
}

function writeBytes(
  core: Core,
  inode: Inode,
  offset: number,
  buf: Uint8Array,
  at: number,
  length: number,
  whole: boolean,
): number | Promise<number> {
  if (core.quota.boundsBytes) return writeBounded(core, inode, offset, buf, at, length, whole);
  const fd = core.fds.get(inode);
  if (fd < 0) return fd;
  const written = core.files.pwrite(fd, buf, at, length, offset);
  return whole && written >= 0 && written < length ? -ENOSPC : written;
}

/** Resolves when the open file's bytes are on disk. */
export const fsync = (core: Core, fh: number, dataOnly: boolean): Promise<number> =>
  syncInode(core, core.handles.get(fh).inode, dataOnly);

const FALLOC_FL_PUNCH_HOLE = 2;

/** Allocates or frees space of a private file, as fallocate(2). */
export async function fallocate(
  core: Core,
  fh: number,
  mode: number,
  offset: number,
  length: number,
): Promise<number> {
  const handle = core.handles.get(fh);
  const { inode } = handle;
  if ((handle.flags & O_ACCMODE) === O_RDONLY || !inode.isPrivateData) return -EBADF;
  inode.copied = null;
  if (isPrivileged(inode.record)) {
    const error = dropPrivileges(core, inode, !keepsIds(core));
    if (error < 0) return error;
  }
  const failed = await syncCopyFirst(core, inode);
  if (failed < 0) return failed;
  const allocate = (fd: number): Promise<number> => core.files.fallocate(fd, mode, offset, length);
  return withFd(core.fds, inode, async (fd) => {
    if ((mode & FALLOC_FL_PUNCH_HOLE) === 0)
      return fillBounded(core, inode, fd, offset, length, true, () => allocate(fd));
    const error = await allocate(fd);
    core.quota.charge(inode.ino, fd);
    return error;
  });
}

/** Returns whether the caller may keep set-ID bits, for calls in which the kernel does not say so. */
const keepsIds = (core: Core): boolean => core.capabilities.has(core.caller.pid, CAP_FSETID);

/** Finds data or holes (SEEK_DATA, SEEK_HOLE); the kernel does the other kinds of seek itself. */
export function lseek(core: Core, fh: number, offset: number, whence: number): number {
  const handle = core.handles.get(fh);
  const { inode } = handle;
  if (inode.record.data === DATA_NONE) return -ENXIO;
  const fd = descriptor(core, handle);
  if (fd < 0) return fd;
  const result = core.files.lseek(fd, offset, whence);
  closeOld(core, handle, fd);
  return result;
}

/** Bytes copied in one go on the thread pool; between two slices other envs have their turn. */
const SLICE = 2 * 1024 * 1024;

/**
 * Copies the whole range in slices, as a local file system would; less if the caller gets a signal meanwhile.
 * Returns the number of bytes copied.
 */
export async function copyRange(
  core: Core,
  fhIn: number,
  offIn: number,
  fhOut: number,
  offOut: number,
  length: number,
): Promise<number> {
  // When the copy starts, `core.caller` is another process.
  const { request } = core.caller;
  const input = core.handles.get(fhIn);
  const output = core.handles.get(fhOut);
  if (!output.inode.isPrivateData) return -EBADF;
  if (input.inode.record.data === DATA_NONE) return 0;
  output.inode.copied = null;
  if (isPrivileged(output.inode.record)) {
    const error = dropPrivileges(core, output.inode, !keepsIds(core));
    if (error < 0) return error;
  }
  const failed = await syncCopyFirst(core, output.inode);
  if (failed < 0) return failed;
  const job = { interrupted: false };
  const copy = (from: number, to: number): Promise<number> =>
    copySlices(core, job, from, offIn, output.inode, to, offOut, length);
  // Also while it waits for its turn.
  core.interrupts.set(request, job);
  return withFd(core.fds, output.inode, async (to) => {
    if (!readsOldObject(input.inode, input.backing)) {
      return withFdNow(core.fds, input.inode, (from) => copy(from, to));
    }
    const from = descriptor(core, input);
    if (from < 0) return from;
    try {
      return await copy(from, to);
    } finally {
      core.blobs.close(from);
    }
  }).finally(() => core.interrupts.delete(request));
}

async function copySlices(
  core: Core,
  job: { readonly interrupted: boolean },
  from: number,
  offIn: number,
  inode: Inode,
  to: number,
  offOut: number,
  length: number,
): Promise<number> {
  let done = 0;
  while (done < length && !job.interrupted) {
    const slice = Math.min(SLICE, length - done);
    const [at, into] = [offIn + done, offOut + done];
    const copied = await fillBounded(core, inode, to, into, slice, false, (fits) =>
      core.files.copyRange(from, at, to, into, fits),
    );
    if (copied < 0 && done === 0) done = copied;
    if (copied <= 0) break;
    done += copied;
  }
  return done;
}

/** Returns the descriptor that an open file reads: a newly opened one if its inode has moved on to private bytes. */
function descriptor(core: Core, handle: Handle): number {
  const { inode } = handle;
  if (!readsOldObject(inode, handle.backing)) return core.fds.get(inode);
  const object = inode.first?.record.object;
  return object ? core.blobs.openObject(object) : -EIO;
}

function closeOld(core: Core, handle: Handle, fd: number): void {
  if (readsOldObject(handle.inode, handle.backing)) core.blobs.close(fd);
}
