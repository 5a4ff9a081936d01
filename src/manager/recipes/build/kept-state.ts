/**
 * Carries state over from a template's earlier version. Files that installation scripts made below /var/lib for
 * a service's own user, such as a database's first cluster, are data. Each build makes others, and envs have
 * written into the first ones since: a mix of both in one directory would be broken. So a later version has
 * them as the first one did: all of them, even if the package is no longer there.
 */
import type { Ino, Name } from '../../../base/ids.ts';
import { isDir, isReg } from '../../../base/mode.ts';
import type { InodeRecord } from '../../../codec/inode-record.ts';
import type { VersionBase } from '../../../codec/store-rows.ts';
import { entriesOf } from '../../../driver/core/lower-entries.ts';
import type { LowerTree } from '../../../driver/core/ports.ts';
import type { StackRef, Store } from '../../../store/store.ts';
import { isGenerated } from '../../merge/generated.ts';
import { registryFormat } from '../../merge/table.ts';
import { contentOf } from '../../templates/file-content.ts';
import { nodeAt, type TreeNode } from '../../templates/tree.ts';
import { dirAt } from '../../templates/walk-version.ts';
import { packagesByPath } from './package-owner.ts';
import { ruleOf } from './rules.ts';

const STATE = '/var/lib';
const LISTS = '/var/lib/dpkg/info';
const ROOT_UID = 0;

/**
 * Puts the earlier version's state into the tree of the next one, whose objects are published.
 * @param earlier the version that is the newest until now
 * @param base what an app is installed on now
 */
export function keepState(
  store: Store,
  tree: TreeNode,
  earlier: StackRef,
  base: VersionBase | null,
): void {
  const before = store.lowerTree([earlier]);
  const dir = nodeAt(tree, STATE);
  const ino = dirAt(before, STATE);
  if (dir === null || ino === null) return;
  const bases = [base, store.catalog.version(earlier.templateId, earlier.version)?.base ?? null];
  const packed = new Set(listedIn(store, tree));
  for (const ref of [earlier, ...bases]) {
    if (ref !== null) for (const path of packagesByPath(store, ref).keys()) packed.add(path);
  }
  new Keeper(before, packed).keepIn(dir, ino, STATE);
}

class Keeper {
  private readonly before: LowerTree;
  /** Paths that belong to a package. */
  private readonly packed: ReadonlySet<string>;
  /** Nodes by inode: hard links share one node. */
  private readonly nodes = new Map<Ino, TreeNode>();

  constructor(before: LowerTree, packed: ReadonlySet<string>) {
    this.before = before;
    this.packed = packed;
  }

  keepIn(dir: TreeNode, ino: Ino, path: string): void {
    for (const { name, record } of entriesOf(this.before, ino)) {
      const child = `${path}/${name}`;
      const now = dir.children?.get(name) ?? null;
      if (!this.packed.has(child)) {
        if (isState(child, record)) dir.children?.set(name, this.nodeOf(record));
      } else if (isDir(record.mode) && now?.children) this.keepIn(now, record.ino, child);
    }
  }

  private nodeOf(record: InodeRecord): TreeNode {
    const known = this.nodes.get(record.ino);
    if (known !== undefined) return known;
    const { mode, uid, gid, rdev, size, object, target, xattrs } = record;
    const { atime, atimeNs, mtime, mtimeNs, ctime, ctimeNs } = record;
    const times = { atime, atimeNs, mtime, mtimeNs, ctime, ctimeNs };
    const own = xattrs === null ? null : new Map(xattrs);
    const children = isDir(mode) ? this.childrenOf(record.ino) : null;
    const node = { mode, uid, gid, rdev, size, object, target, xattrs: own, children, ...times };
    this.nodes.set(record.ino, node);
    return node;
  }

  private childrenOf(dir: Ino): Map<Name, TreeNode> {
    const all = [...entriesOf(this.before, dir)];
    return new Map(all.map(({ name, record }) => [name, this.nodeOf(record)]));
  }
}

const isState = (path: string, { uid }: InodeRecord): boolean =>
  uid !== ROOT_UID &&
  registryFormat(path) === null &&
  !isGenerated(path) &&
  ruleOf(path) === 'keep';

/** Yields the paths that the packages in the tree list. */
function* listedIn(store: Store, tree: TreeNode): Generator<string> {
  for (const [name, { mode, object }] of nodeAt(tree, LISTS)?.children ?? []) {
    if (!name.endsWith('.list') || !isReg(mode) || object === '') continue;
    yield* contentOf(store, { object }, `${LISTS}/${name}`).split('\n');
  }
}
