/** Reads the tree of an env, or of a stack of templates, by paths: from the store and the env's changes, not through a mount. */
import path from 'node:path';
import { type Ino, type Name, ROOT_INO } from '../../base/ids.ts';
import { isDir, isLnk, isReg } from '../../base/mode.ts';
import { type Lookup, type Reached, rootOf, walkPath } from '../../base/path-walk.ts';
import { readWhole } from '../../base/read-whole.ts';
import { DATA_PRIVATE, type InodeRecord } from '../../codec/inode-record.ts';
import { entriesOf } from '../../driver/core/lower-entries.ts';
import { namesIn } from '../../driver/core/own-names.ts';
import type { LowerTree } from '../../driver/core/ports.ts';
import { PRIVATE_DIR, privateName } from '../../driver/delta/layout.ts';
import type { DeltaView } from '../../driver/delta/read-delta.ts';
import { envDir, type Store } from '../../store/store.ts';
import { REGISTRY_BYTES_MAX, registryContent } from '../merge/limits.ts';

/** The end of a path: a name in a directory, and the inode record under it. */
export interface TreeEntry {
  readonly dir: Ino;
  readonly name: Name;
  /** null: the directory has no such name. */
  readonly record: InodeRecord | null;
}

/** The env whose changes lie over the templates. */
export interface EnvChanges {
  readonly id: number;
  readonly view: DeltaView;
}

/** The tree of an env, or of templates alone. */
export class EnvTree {
  private readonly store: Store;
  private readonly lower: LowerTree;
  private readonly env: EnvChanges | null;
  /** Directories by their paths; null: the path is no directory. */
  private readonly dirs = new Map<string, Reached<Ino> | null>([['', rootOf<Ino>(ROOT_INO)]]);
  private readonly lookup: Lookup<Ino> = {
    step: (dir, name) => {
      const record = this.entry(dir, name as Name);
      if (record === null) return null;
      if (isLnk(record.mode)) return { target: record.target };
      return isDir(record.mode) ? { dir: record.ino } : null;
    },
  };

  /** @param env null: the templates alone */
  constructor(store: Store, lower: LowerTree, env: EnvChanges | null) {
    this.store = store;
    this.lower = lower;
    this.env = env;
  }

  /**
   * Returns the entry at an absolute path, a binary string. Symlinks that lead to its directory are followed, within the tree.
   * Null if there is no such directory.
   */
  find(at: string): TreeEntry | null {
    const cut = at.lastIndexOf('/');
    const dir = this.dirOf(at.slice(0, cut))?.dir ?? null;
    if (dir === null) return null;
    const name = at.slice(cut + 1) as Name;
    return { dir, name, record: this.entry(dir, name) };
  }

  /** Returns the names in a directory, unordered; none if there is no such directory. @param at its path */
  names(at: string): Name[] {
    const dir = this.find(`${at}/.`)?.dir ?? null;
    if (dir === null) return [];
    const names = new Set<Name>();
    for (const { name } of entriesOf(this.lower, dir)) names.add(name);
    if (this.env !== null) for (const { name } of namesIn(this.env.view, dir)) names.add(name);
    return [...names].filter((name) => this.entry(dir, name) !== null);
  }

  /** Returns a regular file's content as a binary string; null if there is none. @throws what reading it throws */
  content(at: string): string | null {
    const record = this.find(at)?.record ?? null;
    return record === null || !isReg(record.mode) ? null : this.contentOf(record);
  }

  /** Returns the content of a record's file as a binary string; null if it is too large to be read in memory. */
  contentOf(record: InodeRecord): string | null {
    const file = this.fileOf(record);
    if (file === null) return '';
    const read = registryContent(readWhole(file, REGISTRY_BYTES_MAX));
    return 'content' in read ? read.content : null;
  }

  /** Returns the path of a file that holds the record's bytes; null if it is empty. */
  fileOf({ data, object, ino }: InodeRecord): string | null {
    if (data === DATA_PRIVATE && this.env !== null) {
      return path.join(envDir(this.store.root, this.env.id), PRIVATE_DIR, privateName(ino));
    }
    return object === '' ? null : this.store.objects.path(object);
  }

  private entry(dir: Ino, name: Name): InodeRecord | null {
    const own = this.env?.view.name(dir, name) ?? null;
    if (own !== null) return own.ino === 0 ? null : this.inode(own.ino);
    const below = this.lower.lookup(dir, name);
    return below === null ? null : (this.env?.view.inode(below.ino) ?? below);
  }

  private inode(ino: Ino): InodeRecord | null {
    return this.env?.view.inode(ino) ?? this.lower.inode(ino);
  }

  /** Returns a directory. Each is found from the one above it, so that paths of many files are cheap. */
  private dirOf(at: string): Reached<Ino> | null {
    const known = this.dirs.get(at);
    if (known !== undefined) return known;
    const cut = at.lastIndexOf('/');
    const parent = cut < 0 ? null : this.dirOf(at.slice(0, cut));
    const walked = parent === null ? null : walkPath(parent, at.slice(cut + 1), this.lookup);
    const found = walked?.stoppedAt === null ? walked.at : null;
    this.dirs.set(at, found);
    return found;
  }
}
