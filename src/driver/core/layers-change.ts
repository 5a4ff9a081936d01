import { type Ino, type Name, ROOT_INO } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { ChangedDir, Layers, Place } from './ports.ts';
import { UnionLayers } from './union-layers.ts';

/** A name that the templates have otherwise in other versions; null where they have it not. */
export interface NameChange extends Place {
  readonly was: InodeRecord | null;
  readonly is: InodeRecord | null;
  /** One side has it not, because what leads to its directory is something else there: the directory itself has it. */
  readonly hidden?: true;
}

/**
 * added, removed: one side has no such name. replaced: another file, or a directory on one side only. kept: a
 * directory on both sides, with other attributes or entries.
 */
export type ChangeKind = 'added' | 'removed' | 'replaced' | 'kept';

export function kindOf({ was, is }: NameChange): ChangeKind {
  if (was === null) return 'added';
  if (is === null) return 'removed';
  return isDir(was.mode) && isDir(is.mode) ? 'kept' : 'replaced';
}

/**
 * The way from one stack's layers to another's: every name that differs, each once. The same for all
 * envs that go this way, and shared by them.
 */
export class LayersChange {
  readonly from: Layers;
  readonly to: Layers;
  readonly byDir: ReadonlyMap<Ino, ReadonlyMap<Name, NameChange>>;
  /** The root directory itself has other attributes. */
  readonly root: boolean;
  /** First `to`'s new names come to what is there, not listed yet, ... */
  readonly adding: Layers;
  /** ... then names change, and what is to go stays; then only `to` is shown, and listed. */
  readonly changing: Layers;
  readonly #byKind: Readonly<Record<ChangeKind, readonly NameChange[]>>;
  /** Directories of `from` that are none in `to`, by ino. */
  readonly #goneDirs = new Map<Ino, NameChange>();
  #byInode: Map<Ino, NameChange[]> | null = null;
  readonly #places = new Map<Ino, Place | null>();

  constructor(from: Layers, to: Layers, names: readonly NameChange[], root: boolean) {
    this.from = from;
    this.to = to;
    this.root = root;
    const byDir = new Map<Ino, Map<Name, NameChange>>();
    const byKind = { added: [], removed: [], replaced: [], kept: [] } as Record<
      ChangeKind,
      NameChange[]
    >;
    for (const change of names) {
      const siblings = byDir.get(change.dir) ?? new Map<Name, NameChange>();
      byDir.set(change.dir, siblings.set(change.name, change));
      const kind = kindOf(change);
      byKind[kind].push(change);
      const { was } = change;
      if (was !== null && isDir(was.mode) && kind !== 'kept') this.#goneDirs.set(was.ino, change);
    }
    this.byDir = byDir;
    this.#byKind = byKind;
    const stamp = unionStamp(from, to);
    this.adding = new UnionLayers(from, to, from, stamp);
    this.changing = new UnionLayers(to, from, from, stamp);
  }

  of(kind: ChangeKind): readonly NameChange[] {
    return this.#byKind[kind];
  }

  get size(): number {
    const { added, removed, replaced, kept } = this.#byKind;
    return added.length + removed.length + replaced.length + kept.length;
  }

  get isEmpty(): boolean {
    return this.size === 0 && !this.root;
  }

  get goneDirs(): ReadonlyMap<Ino, NameChange> {
    return this.#goneDirs;
  }

  /** The change of one name, or undefined. */
  find(dir: Ino, name: Name): NameChange | undefined {
    return this.byDir.get(dir)?.get(name);
  }

  /** Changes by which a name leads to an inode, or does not any more. */
  ofInode(ino: Ino): readonly NameChange[] {
    this.#byInode ??= this.#indexInodes();
    return this.#byInode.get(ino) ?? [];
  }

  #indexInodes(): Map<Ino, NameChange[]> {
    const index = new Map<Ino, NameChange[]>();
    const add = (ino: Ino, change: NameChange): void => {
      const known = index.get(ino);
      if (known === undefined) index.set(ino, [change]);
      else known.push(change);
    };
    for (const changes of Object.values(this.#byKind)) {
      for (const change of changes) {
        const { was, is } = change;
        if (was !== null) add(was.ino, change);
        if (is !== null && is.ino !== was?.ino) add(is.ino, change);
      }
    }
    return index;
  }

  /** Where the templates have a directory; null if neither side has it. */
  placeOf(dir: Ino): Place | null {
    let place = this.#places.get(dir);
    if (place === undefined) {
      const record = this.to.inode(dir) ?? this.from.inode(dir);
      const { parent = 0, name = '' } = record ?? {};
      place = parent === 0 || name === '' ? null : { dir: parent, name };
      this.#places.set(dir, place);
    }
    return place;
  }

  /**
   * Directories of both sides that show other attributes (those with another one as `parent`) or other entries.
   */
  *changedDirs(): Generator<ChangedDir> {
    if (this.root) yield { ino: ROOT_INO, parent: ROOT_INO };
    for (const { dir, is } of this.#byKind.kept)
      if (is !== null) yield { ino: is.ino, parent: dir };
    for (const dir of this.byDir.keys()) yield { ino: dir, parent: dir };
  }
}

/** A stamp is below 2^48 (store/layer-cache.ts); this one is not. */
const unionStamp = (from: Layers, to: Layers): number =>
  2 ** 49 + ((from.stamp + to.stamp) % 2 ** 48);
