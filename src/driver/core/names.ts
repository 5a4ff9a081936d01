import { invariant } from '../../base/assert.ts';
import { EINVAL, ENAMETOOLONG, ENOENT, ENOTDIR, ESTALE } from '../../base/errno.ts';
import { type Ino, isPrivateIno, NAME_MAX, type Name, type NodeId } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { Core } from './core.ts';
import type { Inode } from './inode.ts';
import { hasOwnName } from './own-names.ts';
import type { DirEntryRef, LowerTree } from './ports.ts';

/** Returns the directory behind a nodeid, or -errno. */
export function directory(core: Core, node: NodeId): Inode | number {
  const inode = core.inodes.get(node);
  if (typeof inode === 'number') return inode;
  return isDir(inode.record.mode) ? inode : -ENOTDIR;
}

/** Returns the inode behind a nodeid, or -ESTALE if it cannot be changed (see isFixed). */
export function inodeToChange(core: Core, node: NodeId): Inode | number {
  const inode = core.inodes.get(node);
  return typeof inode !== 'number' && isFixed(core, inode) ? -ESTALE : inode;
}

/**
 * Returns true for an inode that cannot be changed: one of an older version; or, during a flip, a template file of
 * which one name is there (already or still) and another is not, because the env could not make all its names its
 * own.
 */
export function isFixed(core: Core, inode: Inode): boolean {
  if (inode.gone !== null) return true;
  return !core.lower.settled && !inode.inDelta && !core.inodes.isWhole(inode.record);
}

/**
 * Returns a directory whose names can be changed; -ESTALE for one of an older version, so that the kernel looks it
 * up again.
 */
export function directoryToChange(core: Core, node: NodeId): Inode | number {
  const dir = directory(core, node);
  return typeof dir !== 'number' && dir.gone !== null ? -ESTALE : dir;
}

/** Returns a directory in which the name can be made: it still exists, and the name is valid. */
export function parentFor(core: Core, node: NodeId, name: Name): Inode | number {
  const dir = directoryToChange(core, node);
  if (typeof dir === 'number') return dir;
  if (dir.record.nlink === 0) return -ENOENT;
  const error = checkName(name);
  return error === 0 ? dir : error;
}

/** Returns 0 if a name may be created, -ENAMETOOLONG or -EINVAL. */
export function checkName(name: Name): number {
  if (name.length > NAME_MAX) return -ENAMETOOLONG;
  return name.length === 0 || name === '.' || name === '..' ? -EINVAL : 0;
}

/**
 * Returns the inode that a name leads to, by the env's own changes first, then the templates; null if there is
 * none.
 */
export function resolve(core: Core, dir: Inode, name: Name): Inode | null {
  if (core.delta.hasNames(dir.ino)) {
    const own = core.delta.name(dir.ino, name);
    if (own !== null) return own.ino === 0 ? null : named(core, own.ino);
  }
  const record = below(core, dir, name);
  return record === null ? null : core.inodes.adopt(record, dir.gone);
}

/**
 * Loads the inode that a name of the delta leads to. If it has no record the delta is damaged: throws rather than
 * guess.
 */
function named(core: Core, ino: Ino): Inode {
  const inode = core.inodes.load(ino);
  invariant(inode !== null, `a name leads to inode ${ino}, which has no record`);
  return inode;
}

/** Returns the record that the templates have under a name, regardless of what the env did to it. */
export function below(core: Core, dir: Inode, name: Name): InodeRecord | null {
  return isPrivateIno(dir.ino) ? null : layersOf(core, dir).lookup(dir.ino, name);
}

/**
 * Returns the tree in which to look up a template directory's entries: for a gone directory, that of its own
 * version.
 */
export const layersOf = (core: Core, dir: Inode): LowerTree => dir.gone ?? core.lower;

/**
 * Takes a name away from `inode`, in the open transaction. Leaves a whiteout if a template has, or another version
 * may bring, something under the name.
 */
export function hide(core: Core, dir: Inode, name: Name, { ino }: Inode): void {
  const stays = below(core, dir, name) !== null || isTaken(core, dir, name, ino);
  if (stays) core.tx.setName(dir.ino, name, 0, 0);
  else core.tx.clearName(dir.ino, name);
}

/**
 * Returns true if the name leads, in another template version, to what the env removes here now or has under
 * another name of its own. Without a whiteout one inode would then be in two places, or a removed one would be
 * back.
 */
function isTaken(core: Core, dir: Inode, name: Name, removed: Ino): boolean {
  if (isPrivateIno(dir.ino)) return false;
  const place = { dir: dir.ino, name };
  return core.lower.everAt(dir.ino, name).some((record) => {
    const { ino, mode } = record;
    return (
      ino === removed || isOwnElsewhere(core, place, record) || (isDir(mode) && hasOwn(core, ino))
    );
  });
}

/**
 * Returns true if the inode that a template has at this place is the env's own although the name is not: the env
 * has it by another name, or removed it while a program still has it open.
 */
export function isOwnElsewhere(
  core: Core,
  { dir, name }: DirEntryRef,
  { ino, mode }: InodeRecord,
): boolean {
  const own = core.delta.inode(ino);
  if (!isDir(mode)) return own !== null;
  // If the env changed only a directory's attributes or contents, the directory stays where the templates have it.
  if (own !== null) return own.nlink === 0 || own.parent !== dir || own.name !== name;
  const inode = core.inodes.peek(ino);
  return inode !== null && inode.gone === null && inode.record.nlink === 0;
}

/**
 * Marks a directory's links to be counted again, in the open transaction. The inode in memory stays as it is.
 * INVARIANT: called before the directory itself is set.
 * @param right stamp of a lower tree over which the present count is right all the same
 */
export function countAgain(core: Core, dir: Ino, right = 0): void {
  const record = core.delta.inode(dir);
  const isRight = record === null || record.stamp === 0 || record.stamp === right;
  if (!isRight) core.tx.setNew({ ...record, stamp: 0 });
}

/** Returns true if the env has a name of its own in the directory. */
export const hasOwn = (core: Core, dir: Ino): boolean =>
  core.delta.hasNames(dir) && hasOwnName(core.delta, dir);

/**
 * Makes a template file's names the env's own, in the open transaction, because the env is about to keep a record
 * of its own for the file. Otherwise another template version could put another file under the name, and the env's
 * change would be lost. Returns these names.
 */
export function pin(core: Core, inode: Inode): readonly DirEntryRef[] {
  const type = inode.record.mode & 0o170000;
  const places = namesToPin(core, inode);
  for (const { dir, name } of places) {
    core.tx.setName(dir, name, inode.ino, type);
    // The tree that the links were counted over may have a directory under this name.
    countAgain(core, dir, core.inodes.stampOf(dir));
  }
  return places;
}

/** Returns the names that pin() would make the env's own. */
export function namesToPin(core: Core, inode: Inode): readonly DirEntryRef[] {
  if (inode.inDelta || isPrivateIno(inode.ino) || isDir(inode.record.mode)) return NO_NAMES;
  return core.lower.names(inode.ino).filter(({ dir, name }) => {
    const own = core.delta.hasNames(dir) ? core.delta.name(dir, name) : null;
    return own === null && core.lower.lookup(dir, name)?.ino === inode.ino;
  });
}

const NO_NAMES: readonly DirEntryRef[] = [];
