/** Lists the names that a move changes in an env, including those of a composition that is only made when the move begins. */
import { createHash } from 'node:crypto';
import type { Ino, Name, ObjectId } from '../../base/ids.ts';
import { sameForDiff } from '../../codec/same-inode.ts';
import type { DiffEntry, TreeDiff } from '../../driver/core/tree-diff.ts';
import { compositionName } from '../../store/compositions.ts';
import type { StackRef, Store } from '../../store/store.ts';
import { STATUS_PATH } from '../merge/packages.ts';
import { filesToCompose } from '../recipes/compose/compose.ts';
import type { MergedFile } from '../recipes/compose/merged-files.ts';
import { dirAt } from '../templates/walk-version.ts';
import type { EnvMove } from './moves.ts';

/** The inode number of a file that is not made yet; no existing file has it. */
const NOT_YET = 0 as Ino;

/** Changed names by their directories, and by the inodes that they had before. */
export interface NamesByDir {
  readonly dirs: ReadonlyMap<Ino, readonly DiffEntry[]>;
  readonly byInode: ReadonlyMap<Ino, readonly DiffEntry[]>;
  readonly count: number;
}

/** Works the changed names out, once for each distinct step. */
export class PlannedNames {
  private readonly store: Store;
  /** By the stack, so that what is the same for all envs is worked out once. */
  private readonly files = new Map<string, readonly MergedFile[]>();
  private readonly names = new WeakMap<TreeDiff, Map<string, NamesByDir>>();

  constructor(store: Store) {
    this.store = store;
  }

  /**
   * Returns the names that a move changes: the same object for all envs that make the same step.
   * @param stack that the env goes to
   * @throws ByrefError 'badInput' for templates that do not go together
   */
  of(move: EnvMove, stack: readonly StackRef[]): NamesByDir {
    const key = compositionName(stack);
    const known = this.names.get(move.change) ?? new Map<string, NamesByDir>();
    this.names.set(move.change, known);
    let names = known.get(key);
    if (names === undefined) {
      names = byDir(this.read(move, stack));
      known.set(key, names);
    }
    return names;
  }

  /** Returns the content that dpkg's status file would have in that stack, if its composition is yet to be made. */
  statusOf(stack: readonly StackRef[]): string | null | undefined {
    return this.filesOf(stack).find(({ path }) => path === STATUS_PATH)?.content;
  }

  private read({ row, change }: EnvMove, stack: readonly StackRef[]): Iterable<DiffEntry> {
    const names = new Map<string, DiffEntry>();
    for (const byName of change.byDir.values()) {
      for (const each of byName.values()) names.set(`${each.dir} ${each.name}`, each);
    }
    const before = this.store.lowerTree(this.store.resolveStack(row));
    const after = this.store.lowerTree(stack);
    for (const { path, content } of this.filesOf(stack)) {
      const at = path.lastIndexOf('/');
      const dir = dirAt(after, path.slice(0, at));
      if (dir === null) continue;
      const name = path.slice(at + 1) as Name;
      const shown = after.lookup(dir, name);
      const is =
        shown === null || content === null
          ? null
          : { ...shown, ...contentOf(content), ino: NOT_YET };
      names.set(`${dir} ${name}`, { dir, name, was: before.lookup(dir, name), is });
    }
    return names.values();
  }

  private filesOf(stack: readonly StackRef[]): readonly MergedFile[] {
    const key = compositionName(stack);
    let files = this.files.get(key);
    if (files === undefined) {
      files = filesToCompose(this.store, stack);
      this.files.set(key, files);
    }
    return files;
  }
}

/** Sorts names into a NamesByDir. Names that look the same in both versions are left out. */
function byDir(names: Iterable<DiffEntry>): NamesByDir {
  const dirs = new Map<Ino, DiffEntry[]>();
  const byInode = new Map<Ino, DiffEntry[]>();
  let count = 0;
  for (const each of names) {
    const { dir, was, is } = each;
    if (was !== null && is !== null && sameForDiff(was, is)) continue;
    count++;
    push(dirs, dir, each);
    if (was !== null) push(byInode, was.ino, each);
  }
  return { dirs, byInode, count };
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}

function contentOf(content: string): { size: number; object: ObjectId } {
  const object = createHash('sha256').update(content, 'latin1').digest('hex') as ObjectId;
  return { size: content.length, object };
}
