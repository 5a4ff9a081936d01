/**
 * Turns a tree into the rows of a template's next version, in one transaction: the version becomes visible at
 * that moment.
 */

import { type Ino, type Name, type ObjectId, ROOT_INO } from '../../base/ids.ts';
import { isDir, isLnk, isReg } from '../../base/mode.ts';
import { matchesPath } from '../../base/path-patterns.ts';
import { emptyRecord } from '../../codec/empty-record.ts';
import {
  DATA_NONE,
  DATA_OBJECT,
  DATA_SYMLINK,
  DIRECTORY_BLOCKS,
  DIRECTORY_LINKS,
  FLAG_OWN_ATTRS,
  FLAG_SHARED,
  type InodeRecord,
} from '../../codec/inode-record.ts';
import { sameInode } from '../../codec/same-inode.ts';
import type { TemplateRow, VersionBase, VersionRow } from '../../codec/store-rows.ts';
import { ABOVE_ROOT } from '../../store/link-rows.ts';
import { rawTables } from '../../store/raw-tables.ts';
import type { Store } from '../../store/store.ts';
import { type OldRow, VersionRows } from '../../store/version-rows.ts';

import { sizeOf, type TreeNode } from './tree.ts';

/** The version to commit. */
export interface NewVersion {
  /** The template before; a new one has id 0 and newest 0. */
  readonly template: TemplateRow;
  readonly label: string;
  readonly note: string;
  /** The configuration that it was built from; '' if it was imported. */
  readonly config?: string;
  /** For an app: the version that it was installed on. */
  readonly base?: VersionBase;
  /** It is no version to go to: as one that envs have left behind. */
  readonly isOld?: boolean;
  /** Makes no version if the tree is the same as the newest version's. */
  readonly onlyIfChanged?: boolean;
}

/** The rows of a version that was committed, and of its template. */
export interface CommittedVersion {
  readonly template: TemplateRow;
  readonly version: VersionRow;
}

/** One name of a file, and the row that the name had before. */
interface Place {
  readonly dir: Ino;
  readonly name: Name;
  readonly old: OldRow | null;
}

/**
 * Commits the tree as the next version. Its objects must be published. Nothing is changed if this throws.
 * @returns null if nothing changed, and `onlyIfChanged` is set
 */
export function commitTree(
  store: Store,
  tree: TreeNode,
  wanted: NewVersion,
): CommittedVersion | null {
  try {
    return store.transaction(() => new TreeCommit(store, wanted).run(tree));
  } catch (cause) {
    if (cause instanceof NothingNew) return null;
    throw cause;
  }
}

/** Thrown to end the transaction without a trace. */
class NothingNew extends Error {}

class TreeCommit {
  private readonly store: Store;
  private readonly wanted: NewVersion;
  private readonly template: TemplateRow;
  private readonly rows: VersionRows;
  private readonly isShared: (path: string) => boolean;
  /** Files with their names, in the order in which they were met. */
  private readonly files = new Map<TreeNode, { places: Place[]; shared: boolean }>();
  private readonly blocks = new Map<ObjectId, number>();
  private directories = 0;

  constructor(store: Store, wanted: NewVersion) {
    this.store = store;
    this.wanted = wanted;
    const { template } = wanted;
    const number = template.newest + 1;
    this.template = {
      ...template,
      id: template.id || rawTables(store).take('nextTemplate'),
      newest: number,
      // The first version is what envs see; a later one waits to be applied.
      current: template.current || number,
    };
    this.rows = new VersionRows(rawTables(store), this.template.id, number);
    this.isShared = matchesPath(template.sharedPatterns);
  }

  run(tree: TreeNode): CommittedVersion {
    const root = this.rows.dirIno(ABOVE_ROOT, '');
    this.putDir(ABOVE_ROOT, '', root, tree, this.rows.oldRoot());
    this.addDir(root, '', tree);
    for (const [node, { places, shared }] of this.files) this.putFile(node, places, shared);
    const isFirst = this.wanted.template.newest === 0;
    if (this.wanted.onlyIfChanged === true && !isFirst && this.rows.written === 0) {
      throw new NothingNew();
    }
    const version = this.versionRow();
    for (const [id, count] of this.rows.references) this.store.objects.addRefs(id, count);
    this.store.catalog.put(this.template);
    this.store.catalog.putVersion(this.template.id, version);
    return { template: this.template, version };
  }

  private addDir(ino: Ino, path: string, dir: TreeNode): void {
    this.directories++;
    const gone = this.rows.oldRows(ino);
    for (const [name, node] of dir.children ?? []) {
      const old = gone.get(name) ?? null;
      gone.delete(name);
      const childPath = `${path}/${name}`;
      if (isDir(node.mode)) {
        const child = this.rows.dirIno(ino, name);
        this.putDir(ino, name, child, node, old);
        this.addDir(child, childPath, node);
      } else {
        if (old?.record && isDir(old.record.mode)) this.removeDir(old.record.ino);
        this.addPlace(node, { dir: ino, name, old }, this.isShared(childPath));
      }
    }
    for (const [name, old] of gone) this.remove(ino, name, old);
  }

  private addPlace(node: TreeNode, place: Place, shared: boolean): void {
    const file = this.files.get(node);
    if (file === undefined) {
      this.files.set(node, { places: [place], shared });
      return;
    }
    file.places.push(place);
    // The coherent data path is right for any file, so one name outside the patterns is enough to choose it.
    file.shared &&= shared;
  }

  private remove(dir: Ino, name: Name, old: OldRow): void {
    if (old.record === null) return;
    this.rows.put(dir, name, null, old);
    if (isDir(old.record.mode)) this.removeDir(old.record.ino);
  }

  /** Removes everything below a directory that is gone, name by name: other templates may have the same ino. */
  private removeDir(ino: Ino): void {
    for (const [name, old] of this.rows.oldRows(ino)) this.remove(ino, name, old);
  }

  private putDir(
    parent: Ino | typeof ABOVE_ROOT,
    name: Name | '',
    ino: Ino,
    node: TreeNode,
    old: OldRow | null,
  ): void {
    let subdirectories = 0;
    for (const child of node.children?.values() ?? []) if (isDir(child.mode)) subdirectories++;
    const hangs = ino === ROOT_INO ? {} : { parent, name };
    const record = this.record(node, ino, DIRECTORY_LINKS + subdirectories, false);
    const placed = { ...record, ...hangs };
    if (old?.record && sameInode(old.record, placed)) return;
    this.rows.put(parent, name, placed, old);
  }

  /**
   * Writes a file's names. A change in one name of a group of hard links is a change of the whole group: all
   * get a new ino.
   */
  private putFile(node: TreeNode, places: readonly Place[], shared: boolean): void {
    const before = places[0]?.old?.record ?? null;
    const as = this.record(node, before?.ino ?? (0 as Ino), places.length, shared);
    const same = (record: InodeRecord | null | undefined): boolean =>
      record?.ino === as.ino && sameInode(record, as);
    if (before !== null && places.every(({ old }) => same(old?.record))) return;
    const record = { ...as, ino: this.rows.allocate() };
    for (const { dir, name, old } of places) this.rows.put(dir, name, record, old);
    this.rows.putNames(record.ino, places);
  }

  private record(node: TreeNode, ino: Ino, nlink: number, shared: boolean): InodeRecord {
    const { mode, uid, gid, rdev, object, target, xattrs } = node;
    const { atime, atimeNs, mtime, mtimeNs, ctime, ctimeNs } = node;
    const size = sizeOf(node);
    const blocks = isDir(mode) ? DIRECTORY_BLOCKS : this.blocksOf(object);
    const data = object !== '' ? DATA_OBJECT : isLnk(mode) ? DATA_SYMLINK : DATA_NONE;
    const flags = flagsOf(node, shared);
    const times = { atime, atimeNs, mtime, mtimeNs, ctime, ctimeNs };
    const content = { size, blocks, data, object, target, flags, xattrs };
    return { ...emptyRecord(ino), mode, uid, gid, rdev, nlink, ...content, ...times };
  }

  private blocksOf(object: ObjectId | ''): number {
    if (object === '') return 0;
    const known = this.blocks.get(object);
    if (known !== undefined) return known;
    const { objects } = this.store;
    // A row with 0 blocks may be from an older byref, which did not look for holes.
    const blocks = objects.row(object)?.blocks || objects.measure(object).blocks;
    this.blocks.set(object, blocks);
    return blocks;
  }

  private versionRow(): VersionRow {
    const added = this.addedObjects();
    let bytes = 0;
    let files = 0;
    for (const [node, { places }] of this.files) {
      files += places.length;
      bytes += node.size;
    }
    return {
      number: this.template.newest,
      label: this.wanted.label,
      note: this.wanted.note,
      dateMs: Date.now(),
      files,
      directories: this.directories,
      bytes,
      ...added,
      staged: this.template.current !== this.template.newest && this.wanted.isOld !== true,
      config: this.wanted.config ?? '',
      base: this.wanted.base ?? null,
    };
  }

  private addedObjects(): { addedObjects: number; addedBytes: number } {
    let addedObjects = 0;
    let addedBytes = 0;
    for (const id of this.rows.references.keys()) {
      if (this.store.objects.row(id) !== null) continue;
      addedObjects++;
      addedBytes += this.store.objects.measure(id).size;
    }
    return { addedObjects, addedBytes };
  }
}

function flagsOf({ mode, ownAttributes }: TreeNode, shared: boolean): number {
  if (isDir(mode)) return ownAttributes === true ? FLAG_OWN_ATTRS : 0;
  return shared && isReg(mode) ? FLAG_SHARED : 0;
}
