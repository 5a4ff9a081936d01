import { type Ino, type Name, ROOT_INO } from '../../base/ids.ts';
import { isDir, O_ACCMODE, O_RDONLY } from '../../base/mode.ts';
import type { Core } from './core.ts';
import type { Inode } from './inode.ts';
import { reclaim } from './lookup.ts';
import { resolve } from './names.ts';

/**
 * Returns true if a program has one of these files open for writing, as a lock file is while its lock is held.
 * @param paths absolute paths; symlinks are not followed
 */
export function isOpenForWriting(core: Core, paths: readonly string[]): boolean {
  const inodes = paths.flatMap((path) => find(core, path) ?? []);
  if (inodes.length === 0) return false;
  const written = inodesOpenForWriting(core);
  return inodes.some(({ ino }) => written.has(ino));
}

/** Returns the inodes that programs have open for writing. */
export function inodesOpenForWriting(core: Core): Set<Ino> {
  const written = new Set<Ino>();
  for (const { inode, flags } of core.handles.values()) {
    if ((flags & O_ACCMODE) !== O_RDONLY) written.add(inode.ino);
  }
  return written;
}

/** Returns the inode if the kernel knows it; otherwise no program has it open. */
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
