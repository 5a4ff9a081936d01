import type { Ino, Name } from '../../base/ids.ts';
import type { Inode } from './inode.ts';

/**
 * How many lost names of one file are kept (the last ones): a program that locks by hard links makes them without
 * end.
 */
const NAMES_MAX = 64;

/**
 * Names that files have lost while the kernel knew the file and another name led to it.
 *
 * overlayfs has one inode for all hard links of a file, and keeps the dentry of the name that it looked up first.
 * When that name is removed or replaced, FUSE asks for it again at the next access by any other name, to learn
 * whether the dentry is still good: a LOOKUP of a name that is not there, or that is another file's. If the answer
 * is not this very file, the access fails with ESTALE.
 */
export class LostNames {
  readonly #inodes = new Map<string, Inode>();
  readonly #keys = new Map<Inode, string[]>();

  /** Notes that `inode` has lost a name, if the kernel may still hold a dentry of that name and check it. */
  note(inode: Inode, dir: Ino, name: Name): void {
    if (inode.record.nlink === 0 || inode.lookups === 0) return;
    const key = keyOf(dir, name);
    const keys = this.#keys.get(inode) ?? [];
    if (!keys.includes(key)) keys.push(key);
    if (keys.length > NAMES_MAX) this.#forget(inode, keys.shift()!);
    this.#keys.set(inode, keys);
    this.#inodes.set(key, inode);
  }

  /** Returns the file that had the name last, if the kernel still knows that file. */
  find(dir: Ino, name: Name): Inode | null {
    if (this.#inodes.size === 0) return null;
    return this.#inodes.get(keyOf(dir, name)) ?? null;
  }

  /** Drops the names of a file that the kernel has forgotten. */
  drop(inode: Inode): void {
    for (const key of this.#keys.get(inode) ?? []) this.#forget(inode, key);
    this.#keys.delete(inode);
  }

  #forget(inode: Inode, key: string): void {
    if (this.#inodes.get(key) === inode) this.#inodes.delete(key);
  }
}

const keyOf = (dir: Ino, name: Name): string => `${dir} ${name}`;
