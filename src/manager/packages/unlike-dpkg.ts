/**
 * Finds what a patch does in one env otherwise than dpkg would on a plain system that is given the same packages, for the
 * plan to say it. docs/internals/adr/0024-what-an-administrator-told-dpkg.md says why it is so.
 */
import { pathToText } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import type { AttributeName } from '../../driver/core/own-attributes.ts';
import { DIVERSIONS_PATH, diversionsOf } from '../merge/dpkg-rules.ts';
import type { PackageRecord } from '../merge/packages.ts';
import type { AdministeredParts } from './administered.ts';
import { type Administrator, administratorOf } from './administrator.ts';
import { EnvTree } from './env-tree.ts';
import { byPath, type PackagePath, pathsOf } from './package-paths.ts';

/**
 * refused: an own package and a coming one both have the file, and dpkg would refuse to unpack the latter. replaced: the
 * same, and the own one replaces the other. override: a file with several names has an override for some of them only.
 * diversion: a file with several names is diverted without having been moved. attributes: the env has set attributes
 * without an override. deleted: the env has removed the file.
 */
export type UnlikeReason =
  | 'refused'
  | 'replaced'
  | 'override'
  | 'diversion'
  | 'attributes'
  | 'deleted';

/** A path at which an env will not be as dpkg would make it. */
export interface UnlikeDpkg {
  readonly why: UnlikeReason;
  /** Absolute, as text. */
  readonly path: string;
  /** refused, replaced: the own package that keeps the file, and the one that comes, with their versions. */
  readonly own?: string;
  readonly coming?: string;
}

/** A changed path that the env has of its own in part, or has removed. */
export interface MetPath {
  /** Absolute, a binary string. */
  readonly path: string;
  /** The attributes that the env has set; null: the env has removed the path. */
  readonly attributes: readonly AttributeName[] | null;
}

/** Attributes that dpkg gives every file that it unpacks. */
const UNPACKED: ReadonlySet<AttributeName> = new Set(['mode', 'owner', 'group']);

/** Finds all such paths of packages that follow. @param met as the plan found them */
export function unlikeDpkg(parts: AdministeredParts, met: readonly MetPath[]): UnlikeDpkg[] {
  const { store, row, view, change, packages } = parts;
  const tree = new EnvTree(store, change.from, { id: row.id, view });
  const administrator = administratorOf(tree, view, packages.trees);
  const paths = byPath(pathsOf(parts));
  // A package that diverts a file may have its own in the place of it.
  const diverted = new Set(diversionsOf(tree.content(DIVERSIONS_PATH)).map(({ from }) => from));
  const all = [...sharedPaths(parts), ...metPaths(met, paths, administrator)];
  return [
    ...all.filter(({ path }) => !diverted.has(path)),
    ...linkedPaths(paths, administrator, tree),
  ].map((each) => ({ ...each, path: pathToText(each.path) }));
}

function sharedPaths({ packages }: AdministeredParts): UnlikeDpkg[] {
  const titleOf = ({ name, version }: PackageRecord): string => `${name} ${version}`;
  return packages.shared().map(({ path, own, coming, isReplaced }) => ({
    why: isReplaced ? 'replaced' : 'refused',
    path,
    own: titleOf(own),
    coming: titleOf(coming),
  }));
}

function linkedPaths(
  paths: ReadonlyMap<string, PackagePath>,
  { overrides, diversions }: Administrator,
  tree: EnvTree,
): UnlikeDpkg[] {
  const isLinked = (path: string): boolean => {
    const is = paths.get(path)?.is ?? null;
    return is !== null && !isDir(is.mode) && is.nlink > 1;
  };
  const hasFile = (path: string): boolean => (tree.find(path)?.record ?? null) !== null;
  return [
    ...[...overrides.keys()]
      .filter(isLinked)
      .map((path): UnlikeDpkg => ({ why: 'override', path })),
    ...diversions
      .filter(({ from, to }) => isLinked(from) && hasFile(from) && !hasFile(to))
      .map(({ from }): UnlikeDpkg => ({ why: 'diversion', path: from })),
  ];
}

function metPaths(
  met: readonly MetPath[],
  paths: ReadonlyMap<string, PackagePath>,
  { overrides, filters }: Administrator,
): UnlikeDpkg[] {
  return met.flatMap(({ path, attributes }): UnlikeDpkg[] => {
    const at = paths.get(path);
    if (at?.isListed !== true || at.isConffile) return [];
    if (attributes === null)
      return filters?.excludes(path, false) === true ? [] : [{ why: 'deleted', path }];
    const isSet = attributes.some((each) => UNPACKED.has(each)) && !overrides.has(path);
    return isSet ? [{ why: 'attributes', path }] : [];
  });
}
