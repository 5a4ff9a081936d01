import type { Ino, Name } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { DirEntryRef, LowerEntry, LowerTree } from './ports.ts';

/**
 * The names of two stacks together; where both have a name, the first stack's counts. An env shows this while it
 * goes from one stack to the other, so that a name that both have is found at every moment. A directory that both
 * have is listed as one of them has it.
 */
export class UnionTree implements LowerTree {
  readonly stamp: number;
  readonly #first: LowerTree;
  readonly #second: LowerTree;
  readonly #listed: LowerTree;
  readonly #other: LowerTree;

  /**
   * @param listed the tree whose names are listed: `first` or `second`
   * @param stamp a stamp that no stack has, so that links counted meanwhile are counted again afterwards
   */
  constructor(first: LowerTree, second: LowerTree, listed: LowerTree, stamp: number) {
    this.stamp = stamp;
    this.#first = first;
    this.#second = second;
    this.#listed = listed;
    this.#other = listed === first ? second : first;
  }

  lookup(dir: Ino, name: Name): InodeRecord | null {
    return this.#first.lookup(dir, name) ?? this.#second.lookup(dir, name);
  }

  inode(ino: Ino): InodeRecord | null {
    return this.#first.inode(ino) ?? this.#second.inode(ino);
  }

  /** Lists each name with the record that a lookup of it returns: the kernel takes one for the other. */
  list(dir: Ino, after: number, max: number): readonly LowerEntry[] {
    const listed = this.#listed.inode(dir) === null ? this.#other : this.#listed;
    const entries = listed.list(dir, after, max);
    if (listed === this.#first) return entries;
    return entries.map((entry) => ({
      ...entry,
      record: this.lookup(dir, entry.name) ?? entry.record,
    }));
  }

  names(ino: Ino): readonly DirEntryRef[] {
    const names = this.#first.names(ino);
    return names.length > 0 ? names : this.#second.names(ino);
  }

  lastDir(ino: Ino): InodeRecord | null {
    return this.#first.lastDir(ino) ?? this.#second.lastDir(ino);
  }

  everAt(dir: Ino, name: Name): readonly InodeRecord[] {
    return [...this.#first.everAt(dir, name), ...this.#second.everAt(dir, name)];
  }

  everFile(dir: Ino, name: Name, ino: Ino): InodeRecord | null {
    return this.#first.everFile(dir, name, ino) ?? this.#second.everFile(dir, name, ino);
  }
}
