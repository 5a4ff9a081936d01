import { ENAMETOOLONG, ENOENT, ENOMEM, ESTALE } from '../../base/errno.ts';
import { NAME_MAX, type Name, type NodeId, ROOT_INO } from '../../base/ids.ts';
import { DATA_PRIVATE } from '../../codec/inode-record.ts';
import { keepAccessTime } from './access-times.ts';
import type { Node, Result } from './api.ts';
import type { Core } from './core.ts';
import { giveBack } from './give-back.ts';
import type { Inode } from './inode.ts';
import { directory, resolve } from './names.ts';

/** Looks a name up for the kernel and counts the reference. Errors: ENOENT, ENAMETOOLONG, ENOMEM, ESTALE. */
export function lookup(core: Core, parent: NodeId, name: Name): Result<Node> {
  const dir = directory(core, parent);
  if (typeof dir === 'number') return dir;
  if (name.length > NAME_MAX) return -ENAMETOOLONG;
  const inode = held(core, dir, name) ?? resolve(core, dir, name);
  if (inode === null) return absent(core, dir, name);
  return countLookup(core, inode) ? inode : -ENOMEM;
}

/** Counts a lookup. Returns false, with nothing counted, if the inode would be one more than this process can keep. */
export function countLookup(core: Core, inode: Inode): boolean {
  const { entries, inodes } = core;
  if (inode.lookups === 0 && inode.first === null && inode.ino !== ROOT_INO && !entries.hasRoom) {
    reclaim(core, inode);
    return false;
  }
  if (entries.isScarce) inodes.touch(inode);
  inode.lookups++;
  return true;
}

/** Returns the file whose dentry has this name, if the request asks about that dentry rather than about the name. */
function held(core: Core, dir: Inode, name: Name): Inode | null {
  const inode = core.lost.find(dir.ino, name);
  return inode !== null && core.capabilities.revalidates(core.caller.pid) ? inode : null;
}

/**
 * Answers for a missing name: ESTALE to a path walk that began before the last flip, so that it starts again; else
 * ENOENT.
 */
function absent({ recent, caller, capabilities }: Core, dir: Inode, name: Name): number {
  if (recent === null || !recent.takenAway(dir.ino, name)) return -ENOENT;
  if (capabilities.makesName(caller.pid)) return -ENOENT;
  return recent.beginsAgain(caller.pid, dir.ino, name) ? -ESTALE : -ENOENT;
}

/** Looks up "." of a file handle: the kernel wants exactly the nodeid it asked for, while that is still good. */
export function lookupDot(core: Core, node: NodeId): Result<Node> {
  const inode = core.inodes.get(node);
  if (typeof inode === 'number') return inode;
  if (inode.isFirst(node)) {
    if (inode.first === null) return -ESTALE;
    inode.first.lookups++;
    return { node };
  }
  return countLookup(core, inode) ? inode : -ENOMEM;
}

/** Looks up "..": the parent directory; the root is its own parent. */
export function lookupDotDot(core: Core, node: NodeId): Result<Node> {
  const dir = directory(core, node);
  if (typeof dir === 'number') return dir;
  const parent = core.inodes.load(dir.record.parent === 0 ? ROOT_INO : dir.record.parent);
  if (parent === null) return -ESTALE;
  return countLookup(core, parent) ? parent : -ENOMEM;
}

/** Takes back `count` of the kernel's references to a nodeid. */
export function forget(core: Core, node: NodeId, count: number): void {
  const inode = core.inodes.get(node);
  if (typeof inode === 'number') return;
  if (inode.first !== null && inode.isFirst(node)) inode.first.lookups -= count;
  else inode.lookups -= count;
  if (inode.lookups <= 0) reclaim(core, inode);
}

/**
 * Drops an inode from memory if the kernel has no reference to it. An inode without a name is freed: first its
 * record, then its bytes. A crash in between leaves a private file that no record names, which the next recovery
 * sweeps.
 */
export function reclaim(core: Core, inode: Inode): void {
  if (inode.lookups > 0 || (inode.first !== null && inode.first.lookups > 0)) return;
  if (inode.isOpen || inode.copying !== null || inode.ino === ROOT_INO) return;
  if (inode.copied !== null && giveBack(core, inode) === 'later') return;
  if (inode.record.nlink === 0 && inode.gone === null) free(core, inode);
  keepAccessTime(core, inode);
  if (inode.backing !== null) core.passthrough?.release(inode.backing.id);
  core.fds.drop(inode);
  core.lost.drop(inode);
  core.inodes.drop(inode);
}

function free(core: Core, inode: Inode): void {
  if (inode.inDelta) {
    core.tx.begin().forget(inode.ino);
    // On failure (disk full) the record stays an orphan; the next mount frees it.
    if (core.tx.commit() !== 0) return;
  }
  if (inode.record.data === DATA_PRIVATE) core.blobs.removePrivate(inode.ino);
}
