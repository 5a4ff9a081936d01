import type { Ino, Name } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { DirEntryRef, LowerEntry, LowerTree } from './ports.ts';

/**
 * The lower tree that an env shows now: the object stays the same while the env is mounted, the tree behind it
 * changes.
 */
export class TreeSwitch implements LowerTree {
  #now: LowerTree;
  #settled = true;

  constructor(lower: LowerTree) {
    this.#now = lower;
  }

  get now(): LowerTree {
    return this.#now;
  }

  /**
   * Shows another tree from the next request on: that of one stack (settled), or one between two stacks (not
   * settled).
   */
  show(lower: LowerTree, settled: boolean): void {
    this.#now = lower;
    this.#settled = settled;
  }

  get settled(): boolean {
    return this.#settled;
  }

  get stamp(): number {
    return this.#now.stamp;
  }

  lookup(dir: Ino, name: Name): InodeRecord | null {
    return this.#now.lookup(dir, name);
  }

  inode(ino: Ino): InodeRecord | null {
    return this.#now.inode(ino);
  }

  list(dir: Ino, after: number, max: number): readonly LowerEntry[] {
    return this.#now.list(dir, after, max);
  }

  names(ino: Ino): readonly DirEntryRef[] {
    return this.#now.names(ino);
  }

  lastDir(ino: Ino): InodeRecord | null {
    return this.#now.lastDir(ino);
  }

  everAt(dir: Ino, name: Name): readonly InodeRecord[] {
    return this.#now.everAt(dir, name);
  }

  everFile(dir: Ino, name: Name, ino: Ino): InodeRecord | null {
    return this.#now.everFile(dir, name, ino);
  }
}
