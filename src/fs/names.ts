import { invariant } from '../base/assert.ts';
import { EINVAL, ENAMETOOLONG, ENOENT, ENOTDIR } from '../base/errno.ts';
import { type Ino, isPrivateIno, NAME_MAX, type Name, type NodeId } from '../base/ids.ts';
import { isDir } from '../base/mode.ts';
import type { Core } from './core.ts';
import type { Inode } from './inode.ts';

/** The directory behind a nodeid, or -errno. */
export function directory(core: Core, node: NodeId): Inode | number {
  const inode = core.inodes.get(node);
  if (typeof inode === 'number') return inode;
  return isDir(inode.record.mode) ? inode : -ENOTDIR;
}

/** A directory that a name can be made in: it exists still, and the name is one. */
export function parentFor(core: Core, node: NodeId, name: Name): Inode | number {
  const dir = directory(core, node);
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
export function resolve(core: Core, dir: Ino, name: Name): Inode | null {
  if (core.delta.hasNames(dir)) {
    const own = core.delta.name(dir, name);
    if (own !== null) return own.ino === 0 ? null : named(core, own.ino);
  }
  const record = below(core, dir, name);
  return record === null ? null : core.inodes.adopt(record);
}

/** A name of the delta leads to an inode, or the delta is damaged: no guess is made then. */
function named(core: Core, ino: Ino): Inode {
  const inode = core.inodes.load(ino);
  invariant(inode !== null, `a name leads to inode ${ino}, which has no record`);
  return inode;
}

/** What the templates have under a name, whatever the env did to it. */
export function below(core: Core, dir: Ino, name: Name) {
  return isPrivateIno(dir) ? null : core.layers.lookup(dir, name);
}

/** In the open transaction: the name is gone, also where a template has it. */
export function hide(core: Core, dir: Ino, name: Name): void {
  if (below(core, dir, name) === null) core.tx.clearName(dir, name);
  else core.tx.setName(dir, name, 0, 0);
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
