import { type Ino, type Name, ROOT_INO } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { ChangedDir, DirEntryRef, LowerTree } from './ports.ts';
import { UnionTree } from './union-tree.ts';

/** One name that differs between two stacks; null on the side where it is absent. */
export interface DiffEntry extends DirEntryRef {
  readonly was: InodeRecord | null;
  readonly is: InodeRecord | null;
  /**
   * Set if one side lacks the name only because something else is in the place of its directory; the directory
   * itself still has it.
   */
  readonly hidden?: true;
}

/**
 * How a name differs. added, removed: one side has no such name. replaced: another file, or a directory on one
 * side only. kept: a directory on both sides, with other attributes or entries.
 */
export type ChangeKind = 'added' | 'removed' | 'replaced' | 'kept';

/** Returns how a name differs. */
export function kindOf({ was, is }: DiffEntry): ChangeKind {
  if (was === null) return 'added';
  if (is === null) return 'removed';
  return isDir(was.mode) && isDir(is.mode) ? 'kept' : 'replaced';
}

/** The difference between two stacks: every name that differs, each once. Envs that make the same change share one. */
export class TreeDiff {
  readonly from: LowerTree;
  readonly to: LowerTree;
  readonly byDir: ReadonlyMap<Ino, ReadonlyMap<Name, DiffEntry>>;
  /** True if the root directory itself has other attributes. */
  readonly root: boolean;
  /** The tree that an env shows in the first step: names that are new in `to` are found, but not listed yet. */
  readonly adding: LowerTree;
  /**
   * The tree that it shows in the second step: changed names are those of `to`, and names that are to go stay.
   * After it, only `to` is shown.
   */
  readonly changing: LowerTree;
  readonly #byKind: Readonly<Record<ChangeKind, readonly DiffEntry[]>>;
  /** Directories of `from` that are not directories in `to`, by ino. */
  readonly #goneDirs = new Map<Ino, DiffEntry>();
  #byInode: Map<Ino, DiffEntry[]> | null = null;
  readonly #places = new Map<Ino, DirEntryRef | null>();

  constructor(from: LowerTree, to: LowerTree, names: readonly DiffEntry[], root: boolean) {
    this.from = from;
    this.to = to;
    this.root = root;
    const byDir = new Map<Ino, Map<Name, DiffEntry>>();
    const byKind = { added: [], removed: [], replaced: [], kept: [] } as Record<
      ChangeKind,
      DiffEntry[]
    >;
    for (const change of names) {
      const siblings = byDir.get(change.dir) ?? new Map<Name, DiffEntry>();
      byDir.set(change.dir, siblings.set(change.name, change));
      const kind = kindOf(change);
      byKind[kind].push(change);
      const { was } = change;
      if (was !== null && isDir(was.mode) && kind !== 'kept') this.#goneDirs.set(was.ino, change);
    }
    this.byDir = byDir;
    this.#byKind = byKind;
    const stamp = unionStamp(from, to);
    this.adding = new UnionTree(from, to, from, stamp);
    this.changing = new UnionTree(to, from, from, stamp);
  }

  of(kind: ChangeKind): readonly DiffEntry[] {
    return this.#byKind[kind];
  }

  get size(): number {
    const { added, removed, replaced, kept } = this.#byKind;
    return added.length + removed.length + replaced.length + kept.length;
  }

  get isEmpty(): boolean {
    return this.size === 0 && !this.root;
  }

  get goneDirs(): ReadonlyMap<Ino, DiffEntry> {
    return this.#goneDirs;
  }

  /** Returns the change of one name, or undefined. */
  find(dir: Ino, name: Name): DiffEntry | undefined {
    return this.byDir.get(dir)?.get(name);
  }

  /** Returns the changes that give an inode a name or take one from it. */
  ofInode(ino: Ino): readonly DiffEntry[] {
    this.#byInode ??= this.#indexInodes();
    return this.#byInode.get(ino) ?? [];
  }

  #indexInodes(): Map<Ino, DiffEntry[]> {
    const index = new Map<Ino, DiffEntry[]>();
    const add = (ino: Ino, change: DiffEntry): void => {
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

  /** Returns the place where the templates have a directory; null if neither side has it. */
  placeOf(dir: Ino): DirEntryRef | null {
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
   * Yields directories of both sides that show other attributes (with their parent as `parent`) or other entries
   * (with themselves as `parent`).
   */
  *changedDirs(): Generator<ChangedDir> {
    const told = new Set<Ino>();
    if (this.root) yield { ino: ROOT_INO, parent: ROOT_INO };
    for (const { dir, is } of this.#byKind.kept) {
      if (is === null) continue;
      told.add(is.ino);
      yield { ino: is.ino, parent: dir };
    }
    for (const dir of this.byDir.keys()) if (!told.has(dir)) yield { ino: dir, parent: dir };
  }
}

/** Makes a stamp that no stack has: those are below 2^48 (store/tree-cache.ts), and this one is not. */
const unionStamp = (from: LowerTree, to: LowerTree): number =>
  2 ** 49 + ((from.stamp + to.stamp) % 2 ** 48);
