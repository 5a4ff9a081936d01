import { invariant } from '../base/assert.ts';
import { EINVAL, ENAMETOOLONG, ENOENT, ENOTDIR, ESTALE } from '../base/errno.ts';
import { type Ino, isPrivateIno, NAME_MAX, type Name, type NodeId } from '../base/ids.ts';
import { isDir } from '../base/mode.ts';
import type { InodeRecord } from '../codec/inode-record.ts';
import type { Core } from './core.ts';
import type { Inode } from './inode.ts';
import type { Layers } from './ports.ts';

/** The directory behind a nodeid, or -errno. */
export function directory(core: Core, node: NodeId): Inode | number {
  const inode = core.inodes.get(node);
  if (typeof inode === 'number') return inode;
  return isDir(inode.record.mode) ? inode : -ENOTDIR;
}

/** The inode behind a nodeid, if it can be changed: one of an older version can't be. */
export function inodeToChange(core: Core, node: NodeId): Inode | number {
  const inode = core.inodes.get(node);
  return typeof inode !== 'number' && inode.gone !== null ? -ESTALE : inode;
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
export const layersOf = (core: Core, dir: Inode): Layers => dir.gone ?? core.layers;

/** In the open transaction: the name is gone, also where a template has it. */
export function hide(core: Core, dir: Inode, name: Name): void {
  if (below(core, dir, name) === null) core.tx.clearName(dir.ino, name);
  else core.tx.setName(dir.ino, name, 0, 0);
}

/**
 * In the open transaction: the env is about to keep a record of its own for a template file, so its
 * names belong to the env from now on. Without this, another template version would put another file under
 * the name, and what the env changed would be lost.
 */
export function pin(core: Core, inode: Inode): void {
  if (inode.inDelta || isPrivateIno(inode.ino) || isDir(inode.record.mode)) return;
  const type = inode.record.mode & 0o170000;
  for (const { dir, name } of core.layers.names(inode.ino)) {
    const own = core.delta.hasNames(dir) ? core.delta.name(dir, name) : null;
    if (own !== null || core.layers.lookup(dir, name)?.ino !== inode.ino) continue;
    core.tx.setName(dir, name, inode.ino, type);
  }
}
