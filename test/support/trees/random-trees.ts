/** Random directory trees, and templates made of them without any object. */
import fc from 'fast-check';
import type { Name } from '../../../src/base/ids.ts';
import { isDir, S_IFLNK } from '../../../src/base/mode.ts';
import { commitTree } from '../../../src/manager/templates/commit-tree.ts';
import { implicitDirectory, type TreeNode } from '../../../src/manager/templates/tree.ts';
import type { Store } from '../../../src/store/store.ts';

/** A directory by its names; a string is a symlink's target: the simplest thing that has content. */
export type Tree = { readonly [name: string]: Tree | string };

const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');

export const tree: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree; entry: Tree | string }>((tie) => ({
  tree: fc.dictionary(name, tie('entry'), { maxKeys: 5, noNullPrototype: true }),
  entry: fc.oneof({ maxDepth: 4, withCrossShrink: true }, fc.constantFrom('x', 'y'), tie('tree')),
})).tree;

/** @param uid of every node: tells which template an attribute came from */
export function nodeOf(content: Tree | string, uid: number): TreeNode {
  const node = { ...implicitDirectory(), uid };
  if (typeof content === 'string') {
    return { ...node, mode: S_IFLNK | 0o777, target: content, children: null };
  }
  node.children = new Map();
  for (const [child, below] of Object.entries(content)) {
    node.children.set(child as Name, nodeOf(below, uid));
  }
  return node;
}

/** Adds one more version of the template. */
export function addVersion(store: Store, template: string, content: Tree, uid: number): void {
  const known = store.template(template);
  const kind = uid === 0 ? 'os' : 'app';
  const fresh = { id: 0, name: template, kind, current: 0, newest: 0, sharedPatterns: [] } as const;
  commitTree(store, nodeOf(content, uid), { template: known ?? fresh, label: '', note: '' });
}

/** The merged tree as src/driver/core/ports.ts promises it, worked out the slow way; `layers` topmost first. */
export interface Merged {
  readonly target: string | null;
  /** Of a directory, the bottommost template's; of anything else, the topmost's. */
  readonly uid: number;
  readonly children: Map<string, Merged> | null;
}

export function merge(layers: readonly TreeNode[]): Merged {
  const [top] = layers;
  if (top === undefined) throw new Error('nothing to merge');
  if (top.children === null) return { target: top.target, uid: top.uid, children: null };
  const dirs = layers.filter((layer) => isDir(layer.mode));
  const names = new Set(dirs.flatMap((layer) => [...(layer.children?.keys() ?? [])]));
  const children = new Map<string, Merged>();
  for (const child of names) {
    const below = dirs
      .map((layer) => layer.children?.get(child))
      .filter((node) => node !== undefined);
    children.set(child, merge(below));
  }
  return { target: null, uid: dirs.at(-1)?.uid ?? top.uid, children };
}
