import type { NodeId } from '../../base/ids.ts';
import { O_ACCMODE, O_RDONLY } from '../../base/mode.ts';
import { IO_UNCACHED } from './api.ts';
import type { Core } from './core.ts';
import { giveBack } from './give-back.ts';
import type { Backing, Inode } from './inode.ts';
import { reclaim } from './lookup.ts';

/** Closes an open file, and drops its inode from memory if nothing else uses it. */
export function release(core: Core, fh: number): void {
  const handle = core.handles.get(fh);
  core.handles.close(handle);
  const { inode, backing } = handle;
  if (backing !== null) releaseBacking(core, inode, backing);
  else inode.cachedOpens--;
  if (handle.io === IO_UNCACHED) inode.uncachedOpens--;
  if (inode.copied !== null) giveBack(core, inode);
  const wrote = (handle.flags & O_ACCMODE) !== O_RDONLY;
  if (inode.wasEmptied && wrote) {
    inode.wasEmptied = false;
    if (inode.isPrivateData) core.blobs.writeOut(inode.ino);
  }
  if (inode.cachedOpens === 0) core.fds.drop(inode);
  // XFS gives back what it had taken ahead.
  if (wrote && inode.isPrivateData && !inode.isOpen) core.quota.charge(inode.ino, -1);
  reclaim(core, inode);
}

/** Tries again to give back a copy that could not be given back when its file was closed. */
export function giveBackLater(core: Core, inode: Inode): void {
  const given = giveBack(core, inode);
  if (given === 'done') reclaim(core, inode);
  // The inode goes back to its first nodeid only after the kernel forgot both.
  if (given === 'later' && inode.first !== null && !inode.isOpen) {
    void core.caches.forget([inode.node, inode.ino as number as NodeId]);
  }
}

/** Releases a backing id that its inode no longer uses, or is not to use again, with its last open. */
function releaseBacking(core: Core, inode: Inode, backing: Backing): void {
  backing.opens--;
  if (backing.opens > 0) return;
  if (backing === inode.backing) {
    if (backing.isOld !== true) return;
    inode.backing = null;
    core.noteInode(inode);
  }
  core.passthrough?.release(backing.id);
}
