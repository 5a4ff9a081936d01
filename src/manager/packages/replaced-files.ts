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
