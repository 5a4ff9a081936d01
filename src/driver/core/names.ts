import { invariant } from '../../base/assert.ts';
import { EINVAL, ENAMETOOLONG, ENOENT, ENOTDIR, ESTALE } from '../../base/errno.ts';
import { type Ino, isPrivateIno, NAME_MAX, type Name, type NodeId } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { Core } from './core.ts';
import type { Inode } from './inode.ts';
import { hasOwnName } from './own-names.ts';
import type { DirEntryRef, LowerTree } from './ports.ts';

/** The directory behind a nodeid, or -errno. */
export function directory(core: Core, node: NodeId): Inode | number {
  const inode = core.inodes.get(node);
  if (typeof inode === 'number') return inode;
  return isDir(inode.record.mode) ? inode : -ENOTDIR;
}

/** The inode behind a nodeid, if it can be changed: one of an older version can't be. */
export function inodeToChange(core: Core, node: NodeId): Inode | number {
  const inode = core.inodes.get(node);
  return typeof inode !== 'number' && isFixed(core, inode) ? -ESTALE : inode;
}

/**
 * True for what can't be changed: what is of an older version; and, while a flip is under way, a file of which one name
 * is there already, or still, and another one is not: the env could not make all of them its own.
 */
export function isFixed(core: Core, inode: Inode): boolean {
  if (inode.gone !== null) return true;
  return !core.layers.settled && !inode.inDelta && !core.inodes.isWhole(inode.record);
}

/** A directory whose names can be changed: not one of an older version, which the kernel shall look up again. */
export function directoryToChange(core: Core, node: NodeId): Inode | number {
  const dir = directory(core, node);
  return typeof dir !== 'number' && dir.gone !== null ? -ESTALE : dir;
}

/** A directory that a name can be made in: it exists still, and the name is one. */
export function parentFor(core: Core, node: NodeId, name: Name): Inode | number {
  const dir = directoryToChange(core, node);
  if (typeof dir === 'number') return dir;
  if (dir.record.nlink === 0) return -ENOENT;
  const error = checkName(name);
  return error === 0 ? dir : error;
}

export function checkName(name: Name): number {
  if (name.length > NAME_MAX) return -ENAMETOOLONG;
  return name.length === 0 || name === '.' || name === '..' ? -EINVAL : 0;
}

/** What a name leads to: the env's own changes first, then the templates. Null if it is not there. */
export function resolve(core: Core, dir: Inode, name: Name): Inode | null {
  if (core.delta.hasNames(dir.ino)) {
    const own = core.delta.name(dir.ino, name);
    if (own !== null) return own.ino === 0 ? null : named(core, own.ino);
  }
  const record = below(core, dir, name);
  return record === null ? null : core.inodes.adopt(record, dir.gone);
}

/** A name of the delta leads to an inode, or the delta is damaged: no guess is made then. */
function named(core: Core, ino: Ino): Inode {
  const inode = core.inodes.load(ino);
  invariant(inode !== null, `a name leads to inode ${ino}, which has no record`);
  return inode;
}

/** What the templates have under a name, whatever the env did to it. */
export function below(core: Core, dir: Inode, name: Name): InodeRecord | null {
  return isPrivateIno(dir.ino) ? null : layersOf(core, dir).lookup(dir.ino, name);
}

/** Where the entries of a template's directory are: of one that is gone, in the version it was in. */
export const layersOf = (core: Core, dir: Inode): LowerTree => dir.gone ?? core.layers;

/** In the open transaction: the name does not lead to `inode` any more, and nowhere else: also where a template has it. */
export function hide(core: Core, dir: Inode, name: Name, { ino }: Inode): void {
  const stays = below(core, dir, name) !== null || isTaken(core, dir, name, ino);
  if (stays) core.tx.setName(dir.ino, name, 0, 0);
  else core.tx.clearName(dir.ino, name);
}

/**
 * True if the name is, in another version, what the env removes from here now, or has made its own under another name.
 * Without a whiteout one inode would then be in two places, or be there again that was removed.
 */
function isTaken(core: Core, dir: Inode, name: Name, removed: Ino): boolean {
  if (isPrivateIno(dir.ino)) return false;
  const place = { dir: dir.ino, name };
  return core.layers.everAt(dir.ino, name).some((record) => {
    const { ino, mode } = record;
    return (
      ino === removed || isOwnElsewhere(core, place, record) || (isDir(mode) && hasOwn(core, ino))
    );
  });
}

/**
 * True if what a template has at this place, under a name that is not the env's own, is the env's own all the same: by
 * another name, or because it removed it and somebody has it open.
 */
export function isOwnElsewhere(
  core: Core,
  { dir, name }: DirEntryRef,
  { ino, mode }: InodeRecord,
): boolean {
  const own = core.delta.inode(ino);
  if (!isDir(mode)) return own !== null;
  // A directory of which the env changed but the attributes, or what is in it, is where the templates have it.
  if (own !== null) return own.nlink === 0 || own.parent !== dir || own.name !== name;
  const inode = core.inodes.peek(ino);
  return inode !== null && inode.gone === null && inode.record.nlink === 0;
}

/**
 * In the open transaction: the directory's links are to be counted again. What is known of it in memory stays.
 * INVARIANT: called before the directory itself is set.
 * @param right the stamp of layers over which its count is right all the same
 */
export function countAgain(core: Core, dir: Ino, right = 0): void {
  const record = core.delta.inode(dir);
  const isRight = record === null || record.stamp === 0 || record.stamp === right;
  if (!isRight) core.tx.setNew({ ...record, stamp: 0 });
}

/** True if the env has a name of its own in the directory. */
export const hasOwn = (core: Core, dir: Ino): boolean =>
  core.delta.hasNames(dir) && hasOwnName(core.delta, dir);

/**
 * In the open transaction: the env is about to keep a record of its own for a template file, so its
 * names belong to the env from now on. Without this, another template version would put another file under
 * the name, and what the env changed would be lost. Returns these names.
 */
export function pin(core: Core, inode: Inode): readonly DirEntryRef[] {
  const type = inode.record.mode & 0o170000;
  const places = namesToPin(core, inode);
  for (const { dir, name } of places) {
    core.tx.setName(dir, name, inode.ino, type);
    // Over the layers that it was counted over, there may be a directory under this name.
    countAgain(core, dir, core.inodes.stampOf(dir));
  }
  return places;
}

/** The names that pin() would give a template file. */
export function namesToPin(core: Core, inode: Inode): readonly DirEntryRef[] {
  if (inode.inDelta || isPrivateIno(inode.ino) || isDir(inode.record.mode)) return NO_NAMES;
  return core.layers.names(inode.ino).filter(({ dir, name }) => {
    const own = core.delta.hasNames(dir) ? core.delta.name(dir, name) : null;
    return own === null && core.layers.lookup(dir, name)?.ino === inode.ino;
  });
}

const NO_NAMES: readonly DirEntryRef[] = [];
