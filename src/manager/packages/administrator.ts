/**
 * Reads what the administrator of an env told dpkg about single paths, and the templates did not: see
 * manager/merge/dpkg-rules.ts.
 */

import { namesIn } from '../../driver/core/own-names.ts';
import type { DirEntryRef } from '../../driver/core/ports.ts';
import type { DeltaView } from '../../driver/delta/read-delta.ts';
import {
  accountId,
  DIVERSIONS_PATH,
  type Diversion,
  diversionsOf,
  filtersOf,
  isConfigName,
  type Override,
  overridesOf,
  PathFilters,
  STATOVERRIDE_PATH,
} from '../merge/dpkg-rules.ts';
import type { EnvTree, TreeEntry } from './env-tree.ts';

/** The owner and permissions that a path is to have. */
export interface WantedAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** An administrator's rules for dpkg in one env; rules that the templates have too are left out. */
export interface Administrator {
  readonly diversions: readonly Diversion[];
  /** By path. Overrides for accounts that do not exist are left out. */
  readonly overrides: ReadonlyMap<string, WantedAttributes>;
  /** The paths that dpkg in the env does not unpack; null if the same rules hold as in the templates. */
  readonly filters: PathFilters | null;
}

const CONFIG = '/etc/dpkg/dpkg.cfg';
const CONFIG_DIR = '/etc/dpkg/dpkg.cfg.d';

/**
 * Reads the rules of an env's administrator.
 * @param tree of the env
 * @param base, theirs trees of the templates that the env leaves and goes to; an account may come with the latter
 */
export function administratorOf(
  tree: EnvTree,
  view: DeltaView,
  { base, theirs }: { readonly base: EnvTree; readonly theirs: EnvTree },
): Administrator {
  const isOwn = (path: string): boolean => {
    const at = tree.find(path);
    return at !== null && view.name(at.dir, at.name) !== null;
  };
  const diversions = isOwn(DIVERSIONS_PATH)
    ? without(diversionsIn(tree), diversionsIn(base), ({ from, to, by }) => `${from}\n${to}\n${by}`)
    : [];
  const overrides = isOwn(STATOVERRIDE_PATH)
    ? without(overridesIn(tree), overridesIn(base), (each) => JSON.stringify(each))
    : [];
  return {
    diversions,
    overrides: new Map(overrides.flatMap((each) => wantedOf(each, [tree, theirs]))),
    filters: ownFilters(tree, view, base),
  };
}

/** A file of a package that is diverted in the env, and where it is now. */
export interface DivertedFile {
  readonly place: DirEntryRef;
  readonly to: TreeEntry | null;
  readonly by: string | null;
}

/**
 * Finds the diverted files, by the place that they would have without a diversion ("DIR NAME").
 * @param base tree of the templates that the env sees
 */
export function divertedFiles(
  tree: EnvTree,
  view: DeltaView,
  base: EnvTree,
): ReadonlyMap<string, DivertedFile> {
  const { diversions } = administratorOf(tree, view, { base, theirs: base });
  const found = diversions.flatMap(({ from, to, by }): [string, DivertedFile][] => {
    const place = base.find(from);
    if (place === null) return [];
    return [[`${place.dir} ${place.name}`, { place, to: tree.find(to), by }]];
  });
  return new Map(found);
}

const diversionsIn = (tree: EnvTree): Diversion[] => diversionsOf(tree.content(DIVERSIONS_PATH));

const overridesIn = (tree: EnvTree): Override[] => overridesOf(tree.content(STATOVERRIDE_PATH));

function without<T>(all: readonly T[], known: readonly T[], keyOf: (each: T) => string): T[] {
  const keys = new Set(known.map(keyOf));
  return all.filter((each) => !keys.has(keyOf(each)));
}

function wantedOf(
  { user, group, mode, path }: Override,
  trees: readonly EnvTree[],
): [string, WantedAttributes][] {
  const idOf = (name: string, file: string): number | null =>
    trees.reduce<number | null>((id, tree) => id ?? accountId(name, tree.content(file)), null);
  const [uid, gid] = [idOf(user, '/etc/passwd'), idOf(group, '/etc/group')];
  return uid === null || gid === null ? [] : [[path, { mode, uid, gid }]];
}

function ownFilters(tree: EnvTree, view: DeltaView, base: EnvTree): PathFilters | null {
  const isUntouched = [CONFIG, `${CONFIG_DIR}/.`].every((path) => {
    const [mine, theirs] = [tree.find(path), base.find(path)];
    return mine?.dir === theirs?.dir && (mine === null || namesIn(view, mine.dir).next().done);
  });
  if (isUntouched) return null;
  const [ours, theirs] = [configOf(tree), configOf(base)].map(filtersOf);
  return JSON.stringify(ours) === JSON.stringify(theirs) ? null : new PathFilters(ours!);
}

/** Returns the contents of dpkg's configuration files, in the order in which dpkg reads them. */
function configOf(tree: EnvTree): string[] {
  const parts = tree.names(CONFIG_DIR).filter(isConfigName).sort();
  const files = [...parts.map((name) => `${CONFIG_DIR}/${name}`), CONFIG];
  return files.map((file) => tree.content(file) ?? '');
}
