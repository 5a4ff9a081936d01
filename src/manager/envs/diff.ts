import { existsSync } from 'node:fs';
import { type Ino, isPrivateIno, type Name, pathToText, ROOT_INO } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import {
  type AttributeName,
  attributesSet,
  hasTemplateData,
} from '../../driver/core/own-attributes.ts';
import type { LowerTree } from '../../driver/core/ports.ts';
import { type ChangedName, type DeltaView, readDelta } from '../../driver/delta/read-delta.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';

/** A: the env added it. C: it changed what its templates have there. D: it removed it. */
export type ChangeKind = 'A' | 'C' | 'D';

/** One path that an env changed. */
export interface EnvChange {
  readonly kind: ChangeKind;
  /**
   * C: the attributes that the env has set, if it changed nothing else; else null. An empty list: its name was moved away and
   * back.
   */
  readonly attributes: readonly AttributeName[] | null;
  /** The path from the env's root, with a leading slash. See pathToText() for what is not UTF-8. */
  readonly path: string;
}

/** Lists what an env changed against its templates, sorted by path. Works while it is mounted, too. */
export async function envDiff(store: Store, row: EnvRow): Promise<EnvChange[]> {
  const changes = await changedPaths(store, row);
  return changes
    .filter(({ attributes }) => attributes?.length !== 0)
    .map((change) => ({ ...change, path: pathToText(change.path) }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Lists the same as envDiff(), unsorted, with paths as binary strings; includes names that were moved away and back. */
export async function changedPaths(store: Store, row: EnvRow): Promise<EnvChange[]> {
  const directory = envDir(store.root, row.id);
  if (!existsSync(directory)) return [];
  const view = await readDelta(directory);
  try {
    return pathsChangedIn(view, store.lowerTree(store.resolveStack(row)));
  } finally {
    await view.close();
  }
}

/** Does the same for an env whose changes are open. @param lower what its templates show */
export const pathsChangedIn = (view: DeltaView, lower: LowerTree): EnvChange[] =>
  new Diff(view, lower).changes();

class Diff {
  private readonly view: DeltaView;
  private readonly lower: LowerTree;
  private readonly found = new Map<string, Omit<EnvChange, 'path'>>();
  /** Paths of directories; null for those that are no longer reachable. */
  private readonly paths = new Map<Ino, string | null>([[ROOT_INO, '']]);
  private readonly changedNames = new Map<Ino, Map<Name, ChangedName>>();

  constructor(view: DeltaView, lower: LowerTree) {
    this.view = view;
    this.lower = lower;
    for (const changed of view.changedNames()) {
      const names = this.changedNames.get(changed.dir) ?? new Map<Name, ChangedName>();
      this.changedNames.set(changed.dir, names.set(changed.name, changed));
    }
  }

  changes(): EnvChange[] {
    for (const names of this.changedNames.values()) {
      for (const changed of names.values()) this.takeName(changed);
    }
    for (const { ino } of this.view.inodes()) this.takeInode(ino);
    return [...this.found].map(([path, change]) => ({ path, ...change }));
  }

  private takeName({ dir, name, ino }: ChangedName): void {
    const parent = this.pathOf(dir);
    if (parent === null) return;
    const below = this.lower.lookup(dir, name);
    if (ino === 0 && below === null) return;
    const kind = ino === 0 ? 'D' : below === null ? 'A' : 'C';
    this.found.set(`${parent}/${name}`, { kind, attributes: this.attributesAt(ino, below) });
  }

  private attributesAt(ino: Ino | 0, below: InodeRecord | null): AttributeName[] | null {
    const own = ino === 0 || below === null ? null : this.view.inode(ino);
    if (own === null || below === null || ino !== below.ino) return null;
    if (!isDir(own.mode)) return hasTemplateData(own, below) ? attributesSet(below, own) : null;
    // A directory's times only say when something was done in it.
    const set = attributesSet(below, own).filter((name) => name !== 'atime' && name !== 'mtime');
    return set.length === 0 ? null : set;
  }

  /** Adds a changed inode of a template, under the names that the template gave it. */
  private takeInode(ino: Ino): void {
    if (isPrivateIno(ino)) return;
    if (ino === ROOT_INO) this.found.set('/', this.changed(ino));
    for (const { dir, name } of this.templateNames(ino)) {
      if (this.changedNames.get(dir)?.has(name)) continue;
      const parent = this.pathOf(dir);
      if (parent !== null) this.found.set(`${parent}/${name}`, this.changed(ino));
    }
  }

  private changed(ino: Ino): Omit<EnvChange, 'path'> {
    return { kind: 'C', attributes: this.attributesAt(ino, this.lower.inode(ino)) };
  }

  private templateNames(ino: Ino): readonly { dir: Ino; name: Name }[] {
    const record = this.lower.inode(ino);
    if (record === null) return [];
    if (record.name !== '') return [{ dir: record.parent as Ino, name: record.name }];
    return this.lower.names(ino);
  }

  private pathOf(dir: Ino): string | null {
    const known = this.paths.get(dir);
    if (known !== undefined) return known;
    // Null until it is known, so that a loop of parents, which damage could make, ends here.
    this.paths.set(dir, null);
    const path = this.findPath(dir);
    this.paths.set(dir, path);
    return path;
  }

  private findPath(dir: Ino): string | null {
    const record = this.view.inode(dir) ?? this.lower.inode(dir);
    if (record === null || record.name === '' || record.nlink === 0) return null;
    const parentDir = record.parent as Ino;
    // A directory that was removed, or replaced by another, has no path.
    const here = this.changedNames.get(parentDir)?.get(record.name);
    if (here !== undefined && here.ino !== dir) return null;
    const parent = this.pathOf(parentDir);
    return parent === null ? null : `${parent}/${record.name}`;
  }
}
