import { type Name, ROOT_INO } from '../base/ids.ts';
import { isDir, O_ACCMODE, O_RDONLY } from '../base/mode.ts';
import type { Core } from './core.ts';
import type { Inode } from './inode.ts';
import { reclaim } from './lookup.ts';
import { resolve } from './names.ts';

/**
 * True if a program has one of these files open for writing: a lock file is, for as long as its lock is held.
 * @param paths absolute; symlinks are not followed
 */
export function isOpenForWriting(core: Core, paths: readonly string[]): boolean {
  const inodes = new Set(paths.flatMap((path) => find(core, path) ?? []));
  if (inodes.size === 0) return false;
  for (const { inode, flags } of core.handles.values()) {
    if (inodes.has(inode) && (flags & O_ACCMODE) !== O_RDONLY) return true;
  }
  return false;
}

/** The inode, if the kernel knows it: else nobody has it open. */
function find(core: Core, path: string): Inode | null {
  let inode = core.inodes.peek(ROOT_INO);
  for (const part of path.split('/').filter((each) => each !== '')) {
    if (inode === null || !isDir(inode.record.mode)) return null;
    const next: Inode | null = resolve(core, inode, part as Name);
    if (next !== null && next.lookups === 0 && !next.isOpen) {
      reclaim(core, next);
      return null;
    }
    inode = next;
  }
  return inode;
}
