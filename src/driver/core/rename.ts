import {
  EDQUOT,
  EEXIST,
  EINVAL,
  EISDIR,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  ESTALE,
} from '../../base/errno.ts';
import { type Ino, type Name, type NodeId, ROOT_INO } from '../../base/ids.ts';
import {
  isDir,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT,
  S_IFCHR,
  S_IFMT,
} from '../../base/mode.ts';
import { type Core, changed, dirChanged, stamp } from './core.ts';
import { whiteoutDevice } from './create.ts';
import { noteStray } from './follow.ts';
import type { Inode } from './inode.ts';
import { directoryToChange, hide, isFixed, parentFor, pin, resolve } from './names.ts';
import { isEmpty } from './readdir.ts';
import { dropLink, finish } from './remove.ts';

/**
 * Moves a name. A directory's entries are keyed by its ino, so moving one of any size, even a template's, sets
 * just two names: O(1), and never EXDEV.
 */
export function rename(
  core: Core,
  fromNode: NodeId,
  fromName: Name,
  toNode: NodeId,
  toName: Name,
  flags: number,
): number {
  const from = directoryToChange(core, fromNode);
  if (typeof from === 'number') return from;
  const to = parentFor(core, toNode, toName);
  if (typeof to === 'number') return to;
  const inode = resolve(core, from, fromName);
  if (inode === null) return -ENOENT;
  const there = resolve(core, to, toName);
  const error = check(core, inode, from, to, there, flags);
  if (error !== 0) return error;
  if (there === inode && (flags & RENAME_EXCHANGE) === 0) return 0;
  if ((flags & RENAME_WHITEOUT) !== 0 && !core.quota.admitsInode()) return -EDQUOT;
  stamp(core);
  core.tx.begin();
  if ((flags & RENAME_EXCHANGE) !== 0 && there !== null) {
    exchange(core, inode, from, fromName, there, to, toName);
    const exchanged = finish(core, null);
    if (exchanged === 0) noteStray(core, to.ino, toName, inode.ino);
    if (exchanged === 0) noteStray(core, from.ino, fromName, there.ino);
    return exchanged;
  }
  // As with ext4: a file that replaces another one is never empty after a power cut.
  if (there !== null && inode.isPrivateData) core.blobs.writeOut(inode.ino);
  move(core, inode, from, fromName, there, to, toName);
  if ((flags & RENAME_WHITEOUT) !== 0) {
    const device = whiteoutDevice(core, from);
    core.tx.setNew(device);
    core.tx.setName(from.ino, fromName, device.ino, S_IFCHR);
  }
  const ended = finish(core, there);
  if (ended === 0) noteStray(core, to.ino, toName, inode.ino);
  if (ended === 0 && there !== null) core.lost.note(there, to.ino, toName);
  return ended;
}

function check(
  core: Core,
  inode: Inode,
  from: Inode,
  to: Inode,
  there: Inode | null,
  flags: number,
): number {
  if (isFixed(core, inode) || (there !== null && isFixed(core, there))) return -ESTALE;
  if (isDir(inode.record.mode) && isWithin(core, to, inode.ino)) return -EINVAL;
  if ((flags & RENAME_EXCHANGE) !== 0) {
    if (there === null) return -ENOENT;
    return isDir(there.record.mode) && isWithin(core, from, there.ino) ? -EINVAL : 0;
  }
  if (there === null) return 0;
  if ((flags & RENAME_NOREPLACE) !== 0) return -EEXIST;
  if (there === inode) return 0;
  if (!isDir(there.record.mode)) return isDir(inode.record.mode) ? -ENOTDIR : 0;
  if (!isDir(inode.record.mode)) return -EISDIR;
  return isEmpty(core, there) ? 0 : -ENOTEMPTY;
}

/** Returns true if `dir` is the directory `ancestor`, or is below it. */
function isWithin(core: Core, dir: Inode, ancestor: Ino): boolean {
  let at: Inode | null = dir;
  while (at !== null && at.ino !== ROOT_INO) {
    if (at.ino === ancestor) return true;
    at = core.inodes.load(at.record.parent === 0 ? ROOT_INO : at.record.parent);
  }
  return ancestor === ROOT_INO;
}

function move(
  core: Core,
  inode: Inode,
  from: Inode,
  fromName: Name,
  there: Inode | null,
  to: Inode,
  toName: Name,
): void {
  const moved = isDir(inode.record.mode) ? 1 : 0;
  const replaced = there !== null && isDir(there.record.mode) ? 1 : 0;
  if (there !== null) dropLink(core, there);
  place(core, inode, to, toName);
  hide(core, from, fromName, inode);
  core.tx.setName(to.ino, toName, inode.ino, inode.record.mode & S_IFMT);
  core.tx.set(from, dirChanged(core, core.tx.record(from), -moved));
  core.tx.set(to, dirChanged(core, core.tx.record(to), moved - replaced));
}

function exchange(
  core: Core,
  inode: Inode,
  from: Inode,
  fromName: Name,
  there: Inode,
  to: Inode,
  toName: Name,
): void {
  // Before either is set: a name of one may be in the other.
  pin(core, there);
  place(core, inode, to, toName);
  place(core, there, from, fromName);
  core.tx.setName(to.ino, toName, inode.ino, inode.record.mode & S_IFMT);
  core.tx.setName(from.ino, fromName, there.ino, there.record.mode & S_IFMT);
  const gain = (isDir(there.record.mode) ? 1 : 0) - (isDir(inode.record.mode) ? 1 : 0);
  core.tx.set(from, dirChanged(core, core.tx.record(from), gain));
  core.tx.set(to, dirChanged(core, core.tx.record(to), -gain));
}

/**
 * Sets the moved inode's own record, in the open transaction: its ctime, and for a directory its new parent and
 * name.
 */
function place(core: Core, inode: Inode, parent: Inode, name: Name): void {
  pin(core, inode);
  const record = changed(core, core.tx.record(inode));
  if (!isDir(record.mode)) core.tx.set(inode, record);
  else {
    const stamp = core.inodes.stampOf(inode.ino);
    core.tx.set(inode, { ...record, parent: parent.ino, name, stamp });
  }
}
