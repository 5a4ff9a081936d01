import { EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, ESTALE } from '../../base/errno.ts';
import { isPrivateIno, type Name, type NodeId } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import { type Core, changed, dirChanged, stamp } from './core.ts';
import type { Inode } from './inode.ts';
import { reclaim } from './lookup.ts';
import { directoryToChange, hide, isFixed, pin, resolve } from './names.ts';
import { isEmpty } from './readdir.ts';

/** Removes a name that is not a directory's. Returns 0 or -errno. */
export function unlink(core: Core, parent: NodeId, name: Name): number {
  const dir = directoryToChange(core, parent);
  if (typeof dir === 'number') return dir;
  const inode = resolve(core, dir, name);
  if (inode === null) return -ENOENT;
  if (isDir(inode.record.mode)) return -EISDIR;
  if (isFixed(core, inode)) return -ESTALE;
  stamp(core);
  core.tx.begin();
  dropLink(core, inode);
  hide(core, dir, name, inode);
  core.tx.set(dir, dirChanged(core, core.tx.record(dir), 0));
  const error = finish(core, inode);
  if (error === 0) core.lost.note(inode, dir.ino, name);
  return error;
}

/** Removes an empty directory. Returns 0 or -errno. */
export function rmdir(core: Core, parent: NodeId, name: Name): number {
  const dir = directoryToChange(core, parent);
  if (typeof dir === 'number') return dir;
  const inode = resolve(core, dir, name);
  if (inode === null) return -ENOENT;
  if (!isDir(inode.record.mode)) return -ENOTDIR;
  if (!isEmpty(core, inode)) return -ENOTEMPTY;
  stamp(core);
  core.tx.begin();
  dropLink(core, inode);
  hide(core, dir, name, inode);
  core.tx.set(dir, dirChanged(core, core.tx.record(dir), -1));
  return finish(core, inode);
}

/**
 * Takes one link of `inode` away, in the open transaction; a directory loses all its links. A template's inode
 * that the env never changed and that has no other name needs no record: the whiteout says it.
 * INVARIANT: called before the name itself is hidden, because pin() adds the names that remain.
 */
export function dropLink(core: Core, inode: Inode): void {
  const record = changed(core, inode.record);
  const nlink = isDir(record.mode) ? 0 : record.nlink - 1;
  const next = { ...record, nlink };
  if (nlink === 0 && !inode.inDelta && !isPrivateIno(inode.ino)) {
    core.tx.setInMemory(inode, next);
    return;
  }
  pin(core, inode);
  core.tx.set(inode, next);
}

/** Commits the transaction, and frees the inode if no name and nothing else uses it any more. */
export function finish(core: Core, inode: Inode | null): number {
  const error = core.tx.commit();
  if (error < 0) return error;
  if (inode !== null && inode.record.nlink === 0) reclaim(core, inode);
  return 0;
}
