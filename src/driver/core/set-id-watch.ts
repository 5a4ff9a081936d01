import { O_ACCMODE, O_RDONLY } from '../../base/mode.ts';
import { emptyBlobStat } from './blob-stat.ts';
import type { Core } from './core.ts';
import type { Inode } from './inode.ts';
import { type BlobStat, CAP_FSETID } from './ports.ts';
import { isPrivileged } from './privileges.ts';

const blobStat = emptyBlobStat();

/**
 * Begins to watch a file that just got set-ID bits or capabilities while a program that may not keep them had it
 * open for writing by passthrough. The kernel does not tell us of what is written there, so the file's mtime is
 * watched from now on: once it changes, the privileges go (attributes.ts).
 */
export function watchPrivileges(core: Core, inode: Inode): void {
  if (!isPrivileged(inode.record) || !inode.isPrivateData) return;
  if ((inode.backing?.opens ?? 0) === 0 || !hasUntrustedWriter(core, inode)) return;
  inode.mayBeMapped = true;
  core.noteInode(inode);
  rewatch(core, inode, true);
}

/** Restarts the watch after we set the file's times ourselves. */
export function rewatch(core: Core, inode: Inode, begin = false): void {
  if (inode.watched === null && !begin) return;
  if (core.blobs.statPrivate(inode.ino, blobStat) < 0) return;
  inode.watched = { mtime: blobStat.mtime, mtimeNs: blobStat.mtimeNs };
}

/** Returns true if a watched file, whose attributes are `stat`, was written to. The watch ends then. */
export function wasWritten(inode: Inode, stat: BlobStat): boolean {
  const { watched } = inode;
  if (watched === null) return false;
  if (stat.mtime === watched.mtime && stat.mtimeNs === watched.mtimeNs) return false;
  inode.watched = null;
  return true;
}

function hasUntrustedWriter(core: Core, inode: Inode): boolean {
  for (const handle of core.handles.values()) {
    if (handle.inode !== inode || (handle.flags & O_ACCMODE) === O_RDONLY) continue;
    if (!core.capabilities.has(handle.pid, CAP_FSETID)) return true;
  }
  return false;
}
