/**
 * Handles files that go from one package to another while one of the two is the env's own. The field `Replaces` says who
 * gets them, as when dpkg unpacks the other package.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isDir } from '../../base/mode.ts';
import { DATA_PRIVATE } from '../../codec/inode-record.ts';
import { isPresent, type PackageRecord, type Packages } from '../merge/packages.ts';
import { fieldOf } from '../merge/stanzas.ts';
import type { EnvTree } from './env-tree.ts';
import { checksumsOf, filesOf } from './package-files.ts';

/** The files that one of the env's own packages loses. */
export interface ReplacedFiles {
  readonly record: PackageRecord;
  readonly paths: ReadonlySet<string>;
}

/** The trees and packages among which files can be replaced. */
export interface ReplacingSides {
  readonly tree: EnvTree;
  readonly baseTree: EnvTree;
  readonly theirsTree: EnvTree;
  /** Packages that are new, or come in another version. */
  readonly coming: readonly PackageRecord[];
  /** The packages that are the env's own. */
  readonly own: Packages;
}

/** Finds the files that own packages lose, by the keys of these packages. */
export function replacedFiles(sides: ReplacingSides): Map<string, ReplacedFiles> {
  const { tree, theirsTree, coming, own } = sides;
  const found = new Map<string, ReplacedFiles>();
  for (const record of coming) {
    const field = fieldOf(record.stanza, 'Replaces');
    if (field === null) continue;
    for (const mine of own.values()) {
      if (!isPresent(mine) || !replaces(field, mine)) continue;
      const files = new Set(filesOf(tree, mine));
      const paths = new Set(found.get(mine.key)?.paths);
      for (const path of filesOf(theirsTree, record)) {
        const is = files.has(path) ? (theirsTree.find(path)?.record ?? null) : null;
        if (is !== null && !isDir(is.mode)) paths.add(path);
      }
      if (paths.size > 0) found.set(mine.key, { record: mine, paths });
    }
  }
  return found;
}

/** A file that stays that of an own package although a coming one has it, too. */
export interface SharedFile {
  /** A binary string. */
  readonly path: string;
  readonly own: PackageRecord;
  readonly coming: PackageRecord;
  /** True if the own package replaces the coming one: dpkg then leaves the file out of it, and else refuses to unpack it. */
  readonly isReplaced: boolean;
}

/**
 * Finds the files that stay those of own packages although coming ones have them, too.
 * @param replaced what the coming packages get of the own ones
 */
export function sharedFiles(
  { tree, baseTree, theirsTree, coming, own }: ReplacingSides,
  replaced: ReadonlyMap<string, ReplacedFiles>,
): SharedFile[] {
  const owners = new Map<string, PackageRecord>();
  for (const mine of own.values()) {
    if (!isPresent(mine)) continue;
    const lost = replaced.get(mine.key)?.paths;
    for (const path of filesOf(tree, mine)) if (!lost?.has(path)) owners.set(path, mine);
  }
  if (owners.size === 0) return [];
  return coming.flatMap((record) => {
    const listed = new Set(filesOf(tree, record));
    // dpkg in the env has left it out of the list before, and so it stays left out.
    const leftOut = new Set(filesOf(baseTree, record).filter((path) => !listed.has(path)));
    return filesOf(theirsTree, record).flatMap((path): SharedFile[] => {
      const mine = owners.get(path);
      const is = mine === undefined ? null : (theirsTree.find(path)?.record ?? null);
      if (mine === undefined || is === null || isDir(is.mode) || leftOut.has(path)) return [];
      const field = fieldOf(mine.stanza, 'Replaces');
      const isReplaced = field !== null && replaces(field, record);
      return [{ path, own: mine, coming: record, isReplaced }];
    });
  });
}

/** True if a field `Replaces` names the package in its version. @param field such as "a (<< 2), b" */
function replaces(field: string, { name, version }: PackageRecord): boolean {
  return field.split(',').some((each) => {
    const [, replaced, relation, other] =
      /^\s*([a-z0-9][a-z0-9+.-]*)(?::[a-z0-9-]+)?\s*(?:\(\s*([<>=]+)\s*([^)\s]+)\s*\))?/.exec(
        each,
      ) ?? [];
    if (replaced !== name) return false;
    if (relation === undefined || other === undefined) return true;
    // Waited for, in the midst of a plan: there are few such fields, and it takes a millisecond.
    return spawnSync('dpkg', ['--compare-versions', version, relation, other]).status === 0;
  });
}

/** True if the env has the file as the package was shipped: dpkg would overwrite it, and nobody's work is lost. */
export function isAsUnpacked(tree: EnvTree, record: PackageRecord, path: string): boolean {
  const there = tree.find(path)?.record ?? null;
  if (there === null) return false;
  if (there.data !== DATA_PRIVATE) return true;
  const file = tree.fileOf(there);
  const sum = checksumsOf(tree, record).get(path);
  if (file === null || sum === undefined) return false;
  return createHash('md5').update(readFileSync(file)).digest('hex') === sum;
}
