import { existsSync } from 'node:fs';
import { type Ino, isPrivateIno, type Name, nameToText, ROOT_INO } from '../base/ids.ts';
import { type ChangedName, type DeltaView, readDelta } from '../delta/read-delta.ts';
import type { Layers } from '../fs/ports.ts';
import { type EnvRow, envDir, type Store } from '../store/store.ts';

/** A: the env added it. C: it changed what its templates have there. D: it removed it. */
export type ChangeKind = 'A' | 'C' | 'D';

export interface EnvChange {
  readonly kind: ChangeKind;
  /** From the env's root, with a leading slash; see nameToText() for what is not UTF-8. */
  readonly path: string;
}

/** What an env changed against its templates, sorted by path. Works while it is mounted, too. */
export async function envDiff(store: Store, row: EnvRow): Promise<EnvChange[]> {
  const changes = await changedPaths(store, row);
  return changes
    .map(({ kind, path }) => ({ kind, path: nameToText(path as Name) }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The same with paths as binary strings. */
export async function changedPaths(store: Store, row: EnvRow): Promise<EnvChange[]> {
  const directory = envDir(store.root, row.id);
  if (!existsSync(directory)) return [];
  const view = await readDelta(directory);
  try {
    return new Diff(view, store.layers(store.resolveStack(row))).changes();
  } finally {
    await view.close();
  }
}

class Diff {
  private readonly view: DeltaView;
  private readonly layers: Layers;
  private readonly kinds = new Map<string, ChangeKind>();
  /** Paths of directories; null for those that hang nowhere any more. */
  private readonly paths = new Map<Ino, string | null>([[ROOT_INO, '']]);
  private readonly changedNames = new Map<Ino, Map<Name, ChangedName>>();

  constructor(view: DeltaView, layers: Layers) {
    this.view = view;
    this.layers = layers;
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
    return [...this.kinds].map(([path, kind]) => ({ kind, path }));
  }

  private takeName({ dir, name, ino }: ChangedName): void {
    const parent = this.pathOf(dir);
    if (parent === null) return;
    const below = this.layers.lookup(dir, name);
    if (ino === 0 && below === null) return;
    const kind = ino === 0 ? 'D' : below === null ? 'A' : 'C';
    this.kinds.set(`${parent}/${name}`, kind);
  }

  /** A changed inode of a template is changed under the names that the template gave it. */
  private takeInode(ino: Ino): void {
    if (isPrivateIno(ino)) return;
    if (ino === ROOT_INO) this.kinds.set('/', 'C');
    for (const { dir, name } of this.templateNames(ino)) {
      if (this.changedNames.get(dir)?.has(name)) continue;
      const parent = this.pathOf(dir);
      if (parent !== null) this.kinds.set(`${parent}/${name}`, 'C');
    }
  }

  private templateNames(ino: Ino): readonly { dir: Ino; name: Name }[] {
    const record = this.layers.inode(ino);
    if (record === null) return [];
    if (record.name !== '') return [{ dir: record.parent as Ino, name: record.name }];
    return this.layers.names(ino);
  }

  private pathOf(dir: Ino): string | null {
    const known = this.paths.get(dir);
    if (known !== undefined) return known;
    // Until it is known: a loop of parents, which damage could make, ends here.
    this.paths.set(dir, null);
    const path = this.findPath(dir);
    this.paths.set(dir, path);
    return path;
  }

  private findPath(dir: Ino): string | null {
    const record = this.view.inode(dir) ?? this.layers.inode(dir);
    if (record === null || record.name === '' || record.nlink === 0) return null;
    const parentDir = record.parent as Ino;
    // A directory that was removed, or replaced by another, has no path.
    const here = this.changedNames.get(parentDir)?.get(record.name);
    if (here !== undefined && here.ino !== dir) return null;
    const parent = this.pathOf(parentDir);
    return parent === null ? null : `${parent}/${record.name}`;
  }
}
