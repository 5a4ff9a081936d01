/** Finds the paths of packages that follow at a step, with what the templates have there before and after it. */
import type { Ino } from '../../base/ids.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import type { DirEntryRef } from '../../driver/core/ports.ts';
import type { TreeDiff } from '../../driver/core/tree-diff.ts';
import type { FollowingPackage, PackagesOfStep } from './own-packages.ts';
import { conffilesOf, filesOf } from './package-files.ts';

/** A change of templates, and what becomes of an env's packages with it. */
export interface PackageStep {
  readonly change: TreeDiff;
  readonly packages: PackagesOfStep;
}

/** A name, with what the templates have there before and after the step. */
export interface TemplatePath {
  readonly place: DirEntryRef;
  readonly was: InodeRecord | null;
  readonly is: InodeRecord | null;
}

/** A path of a package that the step changes. */
export interface PackagePath extends TemplatePath {
  readonly path: string;
  readonly package: string;
  /** True if the new version of the package has the path. */
  readonly isListed: boolean;
  /** True if the path is a conffile in either version: dpkg does not overwrite it where an administrator changed it. */
  readonly isConffile: boolean;
}

interface StepPaths {
  readonly ofPackage: Map<string, readonly PackagePath[]>;
  /** By the keys of the packages that follow. */
  readonly ofPackages: Map<string, PathsByDir>;
}

/** Paths of packages by the directories that they are in. */
export type PathsByDir = ReadonlyMap<Ino, readonly PackagePath[]>;

/** Shared by all envs that make the same step with the same packages of their own. */
const known = new WeakMap<TreeDiff, StepPaths>();

/** Returns the paths of the packages that follow. */
export function pathsOf(parts: PackageStep): PathsByDir {
  const step: StepPaths = known.get(parts.change) ?? {
    ofPackage: new Map(),
    ofPackages: new Map(),
  };
  known.set(parts.change, step);
  const packages = parts.packages.following();
  const keys = packages.map(({ was, is }) => (is ?? was)!.key).join(' ');
  let found = step.ofPackages.get(keys);
  if (found === undefined) {
    found = byDir(packages.flatMap((each) => pathsOfPackage(parts, each, step)));
    step.ofPackages.set(keys, found);
  }
  return found;
}

function byDir(paths: readonly PackagePath[]): PathsByDir {
  const found = new Map<Ino, PackagePath[]>();
  for (const each of paths) {
    const siblings = found.get(each.place.dir);
    if (siblings === undefined) found.set(each.place.dir, [each]);
    else siblings.push(each);
  }
  return found;
}

const flat = new WeakMap<PathsByDir, ReadonlyMap<string, PackagePath>>();

/** Maps each path to its entry. A path that goes from one package to another counts for the package that gets it. */
export function byPath(paths: PathsByDir): ReadonlyMap<string, PackagePath> {
  const before = flat.get(paths);
  if (before !== undefined) return before;
  const found = new Map<string, PackagePath>();
  flat.set(paths, found);
  for (const each of [...paths.values()].flat()) {
    if (each.isListed || !found.has(each.path)) found.set(each.path, each);
  }
  return found;
}

function pathsOfPackage(
  parts: PackageStep,
  { was, is }: FollowingPackage,
  { ofPackage }: StepPaths,
): readonly PackagePath[] {
  const { key, name } = (is ?? was)!;
  const paths = ofPackage.get(key);
  if (paths !== undefined) return paths;
  const { base, theirs } = parts.packages.trees;
  const listed = new Set(filesOf(theirs, is));
  const all = [...new Set([...listed, ...filesOf(base, was)])];
  const conffiles = new Set([...conffilesOf(base, was), ...conffilesOf(theirs, is)]);
  const found = all.flatMap((path): PackagePath[] => {
    const at = templateAt(parts, path);
    const [isListed, isConffile] = [listed.has(path), conffiles.has(path)];
    return at === null ? [] : [{ ...at, path, package: name, isListed, isConffile }];
  });
  ofPackage.set(key, found);
  return found;
}

/** Finds a path in the templates; null if they have no such directory, neither before nor after. */
export function templateAt({ packages, change }: PackageStep, path: string): TemplatePath | null {
  const place = packages.trees.theirs.find(path) ?? packages.trees.base.find(path);
  if (place === null) return null;
  const { dir, name } = place;
  return {
    place: { dir, name },
    was: change.from.lookup(dir, name),
    is: change.to.lookup(dir, name),
  };
}
