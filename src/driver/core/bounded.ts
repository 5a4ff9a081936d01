/** Changes of private files in an env with a limit of bytes: as much as fits is made, and EDQUOT says that nothing does. */
import { EDQUOT, ENOSPC } from '../../base/errno.ts';
import { emptyBlobStat } from './blob-stat.ts';
import type { Core } from './core.ts';
import type { Inode } from './inode.ts';

/**
 * Writes what fits. Returns the number of bytes written, or -errno; a promise if what was removed has to leave the disk
 * first.
 * @param whole a write of less than all is an error, because nobody would write the rest
 */
export function writeBounded(
  core: Core,
  inode: Inode,
  offset: number,
  buf: Uint8Array,
  at: number,
  length: number,
  whole: boolean,
): number | Promise<number> {
  const { quota } = core;
  const fd = core.fds.get(inode);
  if (fd < 0) return fd;
  if (!quota.isTightFor(fd, offset, length)) {
    return writeNow(core, inode, offset, buf, at, length, whole);
  }
  // The transport reuses the buffer for the next request.
  const own = Uint8Array.prototype.slice.call(buf, at, at + length);
  return quota
    .getRoomFor(offset, length)
    .then(() => writeNow(core, inode, offset, own, 0, length, whole));
}

function writeNow(
  core: Core,
  inode: Inode,
  offset: number,
  buf: Uint8Array,
  at: number,
  length: number,
  whole: boolean,
): number {
  const fd = core.fds.get(inode);
  if (fd < 0) return fd;
  const fits = core.quota.fit(fd, offset, length);
  if (fits <= 0 && length > 0) return -EDQUOT;
  const before = core.quota.bytesOf(inode.ino);
  const written = core.files.pwrite(fd, buf, at, fits, offset);
  charge(core, inode, fd, before + core.quota.span(offset, fits));
  if (!whole || written < 0 || written === length) return written;
  return written < fits ? -ENOSPC : -EDQUOT;
}

/**
 * Runs a change on the thread pool that may allocate the range. Resolves to its result; to -EDQUOT if not even one byte
 * fits, or, with `whole`, not all.
 * @param change is told how many bytes of the range it may fill
 */
export async function fillBounded(
  core: Core,
  inode: Inode,
  fd: number,
  offset: number,
  length: number,
  whole: boolean,
  change: (length: number) => Promise<number>,
): Promise<number> {
  const { quota } = core;
  if (quota.isTightFor(fd, offset, length)) await quota.getRoomFor(offset, length);
  const hold = quota.hold(fd, offset, length);
  const before = quota.bytesOf(inode.ino);
  try {
    if (hold.length <= 0 || (whole && hold.length < length)) return -EDQUOT;
    return await change(hold.length);
  } finally {
    charge(core, inode, fd, before + quota.span(offset, hold.length));
    quota.release(hold.bytes);
  }
}

const blobStat = emptyBlobStat();

/**
 * Counts a private file after a write.
 * @param most what it may take now, in bytes
 */
function charge({ quota, blobs, files }: Core, { ino }: Inode, fd: number, most: number): void {
  quota.charge(ino, fd);
  if (!quota.isExceeded || quota.bytesOf(ino) <= most + blobs.blockBytes) return;
  // XFS takes space ahead of a file that grows. To cut the file where it ends gives that back.
  if (blobs.statPrivate(ino, blobStat) < 0) return;
  files.ftruncate(fd, blobStat.size);
  quota.charge(ino, fd);
}
