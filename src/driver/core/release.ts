import type { NodeId } from '../../base/ids.ts';
import { O_ACCMODE, O_RDONLY } from '../../base/mode.ts';
import type { Core } from './core.ts';
import { giveBack } from './give-back.ts';
import type { Backing, Inode } from './inode.ts';
import { reclaim } from './lookup.ts';

/** Closes an open file, and lets go of its inode if nothing else uses it. */
export function release(core: Core, fh: number): void {
  const handle = core.handles.get(fh);
  core.handles.close(handle);
  const { inode, backing } = handle;
  if (backing !== null) releaseBacking(core, inode, backing);
  else inode.cachedOpens--;
  if (inode.copied !== null) giveBack(core, inode);
  if (inode.wasEmptied && (handle.flags & O_ACCMODE) !== O_RDONLY) {
    inode.wasEmptied = false;
    if (inode.isPrivateData) core.blobs.writeOut(inode.ino);
  }
  if (inode.cachedOpens === 0) core.fds.drop(inode);
  reclaim(core, inode);
}

/** An inode is due whose copy could not be given back when it was closed. */
export function giveBackLater(core: Core, inode: Inode): void {
  const given = giveBack(core, inode);
  if (given === 'done') reclaim(core, inode);
  // It goes on under its first nodeid only after the kernel forgot both.
  if (given === 'later' && inode.first !== null && !inode.isOpen) {
    void core.caches.forget([inode.node, inode.ino as number as NodeId]);
  }
}

/** A backing id that its inode no longer uses ends with its last open. */
function releaseBacking(core: Core, inode: Inode, backing: Backing): void {
  backing.opens--;
  if (backing.opens > 0 || backing === inode.backing) return;
  core.passthrough?.release(backing.id);
}
