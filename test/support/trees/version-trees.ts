/** Templates of several random versions, and random stacks of them: what an env may go from and to. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import type { Name, ObjectId } from '../../../src/base/ids.ts';
import { S_IFDIR, S_IFLNK, S_IFREG } from '../../../src/base/mode.ts';
import { commitTree } from '../../../src/manager/templates/commit-tree.ts';
import { implicitDirectory, type TreeNode } from '../../../src/manager/templates/tree.ts';
import type { StackRef, Store } from '../../../src/store/store.ts';

/** What a leaf is: a symlink, a file of its own, or one name of a hard link group. */
const LEAVES = ['link-1', 'link-2', 'file-1', 'file-2', 'group-1', 'group-2'] as const;
type Leaf = (typeof LEAVES)[number];

/** A directory by its names; `wide` is its mode. */
export interface Dir {
  readonly wide: boolean;
  readonly names: { readonly [name: string]: Dir | Leaf };
}

const NAMES = ['a', 'b', 'c', 'd'];
const leaf = fc.constantFrom<Leaf>(...LEAVES);
const dir: fc.Arbitrary<Dir> = fc.letrec<{ dir: Dir; entry: Dir | Leaf }>((tie) => ({
  dir: fc.record({
    wide: fc.boolean(),
    names: fc.dictionary(fc.constantFrom(...NAMES), tie('entry'), {
      maxKeys: NAMES.length,
      noNullPrototype: true,
    }),
  }),
  entry: fc.oneof({ maxDepth: 3, withCrossShrink: true }, leaf, tie('dir')),
})).dir;

/** Versions that have much in common: for each name, one of a few things that may be there. */
const history: fc.Arbitrary<readonly Dir[]> = fc
  .array(dir, { minLength: 1, maxLength: 3 })
  .chain((pool) => {
    const choice = fc.array(fc.nat(pool.length - 1), {
      minLength: NAMES.length + 1,
      maxLength: NAMES.length + 1,
    });
    const version = choice.map(([root = 0, ...of]): Dir => {
      const names = NAMES.flatMap((name, i) => {
        const there = pool[of[i] ?? 0]?.names[name];
        return there === undefined ? [] : [[name, there] as const];
      });
      return { wide: pool[root]?.wide ?? false, names: Object.fromEntries(names) };
    });
    return fc.array(version, { minLength: 1, maxLength: 4 });
  });

/** Templates from the bottom up, each by its versions. */
export const histories = (max: number): fc.Arbitrary<readonly (readonly Dir[])[]> =>
  fc.array(history, { minLength: 1, maxLength: max });

/** An object that no import made: its bytes are not what its id says. */
function fakeObject(store: Store, digit: string): ObjectId {
  const id = digit.repeat(64) as ObjectId;
  mkdirSync(path.dirname(store.objects.path(id)), { recursive: true });
  writeFileSync(store.objects.path(id), digit);
  return id;
}

function treeOf(store: Store, content: Dir): TreeNode {
  const groups = new Map<Leaf, TreeNode>();
  const leafNode = (kind: Leaf): TreeNode => {
    const known = groups.get(kind);
    if (known !== undefined) return known;
    const made: TreeNode = { ...implicitDirectory(), children: null };
    const digit = kind.slice(-1);
    if (kind.startsWith('link')) return { ...made, mode: S_IFLNK | 0o777, target: digit };
    const node = { ...made, mode: S_IFREG | 0o644, size: 1, object: fakeObject(store, digit) };
    if (kind.startsWith('group')) groups.set(kind, node);
    return node;
  };
  const dirNode = ({ wide, names }: Dir): TreeNode => ({
    ...implicitDirectory(),
    mode: S_IFDIR | (wide ? 0o755 : 0o700),
    children: new Map(
      Object.entries(names).map(([name, there]) => [
        name as Name,
        typeof there === 'string' ? leafNode(there) : dirNode(there),
      ]),
    ),
  });
  return dirNode(content);
}

let made = 0;

/** Adds one more version: of the template, or (null) of a new one. Its id. */
export function addVersion(
  store: Store,
  id: number | null,
  content: Dir,
  kind: 'os' | 'app',
): number {
  const known = id === null ? null : store.catalog.byId(id);
  const fresh = { id: 0, name: `v${made++}`, kind, current: 0, newest: 0, sharedPatterns: [] };
  const wanted = { template: known ?? fresh, label: '', note: '' };
  return commitTree(store, treeOf(store, content), wanted)!.template.id;
}

/** Adds a template per history; their ids, in order. */
export function addTemplates(store: Store, all: readonly (readonly Dir[])[]): number[] {
  return all.map((versions, i) => {
    const kind = i === 0 ? 'os' : 'app';
    return (
      versions.reduce((id: number | null, content) => addVersion(store, id, content, kind), null) ??
      0
    );
  });
}

/** The stack in which each template is at the version that the pick falls on, of those it has. */
export function stackOf(
  store: Store,
  ids: readonly number[],
  picks: readonly number[],
): StackRef[] {
  return ids.map((templateId, i) => {
    const versions = store.versions(templateId);
    const { number: version = 1 } = versions[(picks[i] ?? 0) % versions.length] ?? {};
    return { templateId, version };
  });
}
