import type { Ino, Name } from '../base/ids.ts';
import type { InodeRecord } from '../codec/inode-record.ts';
import { mergeEntries } from './merge-entries.ts';
import type { LayerEntry, Layers, Place } from './ports.ts';

/**
 * What either of two stacks has; where both have a name, the first one's. Shown while an env goes from
 * one to the other, so that at no moment a name is missing that both have.
 */
export class UnionLayers implements Layers {
  readonly stamp: number;
  readonly #first: Layers;
  readonly #second: Layers;

  /** @param stamp of no stack, so that what is counted meanwhile is counted again afterwards */
  constructor(first: Layers, second: Layers, stamp: number) {
    this.stamp = stamp;
    this.#first = first;
    this.#second = second;
  }

  lookup(dir: Ino, name: Name): InodeRecord | null {
    return this.#first.lookup(dir, name) ?? this.#second.lookup(dir, name);
  }

  inode(ino: Ino): InodeRecord | null {
    return this.#first.inode(ino) ?? this.#second.inode(ino);
  }

  list(dir: Ino, after: number, max: number): readonly LayerEntry[] {
    return mergeEntries(
      [this.#first.list(dir, after, max), this.#second.list(dir, after, max)],
      max,
    );
  }

  names(ino: Ino): readonly Place[] {
    const names = this.#first.names(ino);
    return names.length > 0 ? names : this.#second.names(ino);
  }

  lastDir(ino: Ino): InodeRecord | null {
    return this.#first.lastDir(ino) ?? this.#second.lastDir(ino);
  }
}
