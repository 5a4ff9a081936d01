/** Lists packages that envs have in another version than the current versions of their templates. */
import { existsSync } from 'node:fs';
import { type Ino, isPrivateIno } from '../../base/ids.ts';
import { isReg } from '../../base/mode.ts';
import type { LowerTree } from '../../driver/core/ports.ts';
import { readDelta } from '../../driver/delta/read-delta.ts';
import { type EnvRow, envDir, type StackRef, type Store } from '../../store/store.ts';
import {
  isPresent,
  type OwnReason,
  ownPackages,
  type Packages,
  packagesOf,
  STATUS_PATH,
} from '../merge/packages.ts';
import { divertedFiles } from '../packages/administrator.ts';
import { EnvTree } from '../packages/env-tree.ts';
import { type InfoOfEnv, isFormerVersion } from '../packages/former-version.ts';
import { ownStatus } from '../packages/own-packages.ts';
import { conffilesOf, filesOf, INFO_DIR, packagesIn } from '../packages/package-files.ts';
import { sameContent } from '../packages/same-file.ts';
import { filesToCompose } from '../recipes/compose/compose.ts';

/**
 * Why a package differs. behind: the env does not see the templates' current versions, because it is pinned or waits for
 * dpkg. files: dpkg has the templates' version there, but the env has changed some of its files other than its configuration.
 */
export type StaleReason = OwnReason | 'behind' | 'files';

/** A package that an env has otherwise than its templates. */
export interface StalePackage {
  readonly env: string;
  readonly package: string;
  /** The env's version; null: the env has removed it, or does not have it yet. */
  readonly own: string | null;
  /** The version in the current versions of its templates; null: they no longer have it. */
  readonly template: string | null;
  readonly why: StaleReason;
}

/** Lists them in the order of the envs, and by package in each env. */
export async function stalePackages(
  store: Store,
  rows: readonly EnvRow[],
): Promise<StalePackage[]> {
  const current = new CurrentPackages(store);
  const found: StalePackage[] = [];
  for (const row of rows) found.push(...(await staleIn(store, row, current)));
  return found;
}

async function staleIn(
  store: Store,
  row: EnvRow,
  current: CurrentPackages,
): Promise<StalePackage[]> {
  const stack = store.resolveStack(row);
  const seen = current.ofStack(stack);
  const newest = current.ofStack(currentStack(store, row));
  const { packages, changed, former } = await readEnv(store, row, seen, (lower) =>
    current.places(stack, lower),
  );
  const ours = packages ?? seen;
  const isBehind = newest !== seen;
  const files = [...changed].flatMap((key): StalePackage[] => {
    const [record, is] = [ours.get(key), newest.get(key)];
    if (!isPresent(record) || record.version !== is?.version) return [];
    const { name, version } = record;
    return [{ env: row.name, package: name, own: version, template: version, why: 'files' }];
  });
  const own = ownPackages({ base: newest, ours, theirs: newest });
  const others = [...own.values()].map(({ name, why, own: version, template }): StalePackage => {
    // A package that is as in the stack that the env sees now is not the env's own doing.
    const record = [...seen.values()].find((each) => each.name === name);
    const isOfTemplate = isBehind && why !== 'held' && (record?.version ?? null) === version;
    const mine = former.has(name) && (why === 'version' || why === 'removed') ? 'needed' : why;
    const reason = isOfTemplate ? ('behind' as const) : mine;
    return { env: row.name, package: name, own: version, template, why: reason };
  });
  return [...others, ...files].sort((a, b) => (a.package < b.package ? -1 : 1));
}

/** Returns the stack that the env would see if it followed all its templates. */
function currentStack(store: Store, row: EnvRow): StackRef[] {
  const following = row.stack.map((entry) => ({ ...entry, pinned: null, canary: null }));
  return store.resolveStack({ ...row, stack: following });
}

interface EnvPackages {
  /** Null: dpkg in the env says the same as in the templates that the env sees. */
  readonly packages: Packages | null;
  /** Keys of packages whose files the env has changed. */
  readonly changed: ReadonlySet<string>;
  /** Names of packages that differ by no doing of the env: a patch kept them back for others. */
  readonly former: ReadonlySet<string>;
}

async function readEnv(
  store: Store,
  row: EnvRow,
  seen: Packages,
  places: (lower: LowerTree) => ReadonlyMap<string, string>,
): Promise<EnvPackages> {
  const directory = envDir(store.root, row.id);
  if (!existsSync(directory)) return { packages: null, changed: new Set(), former: new Set() };
  const view = await readDelta(directory);
  try {
    const lower = store.lowerTree(store.resolveStack(row));
    const tree = new EnvTree(store, lower, { id: row.id, view });
    const changed = new Set<string>();
    const diverted = divertedFiles(tree, view, new EnvTree(store, lower, null));
    for (const [at, { place, to, by }] of diverted) {
      const key = places(lower).get(at);
      const is = lower.lookup(place.dir, place.name);
      const own = to?.record ?? null;
      if (key === undefined || key === by || is === null || own === null) continue;
      if (isReg(is.mode) && !(await sameContent(own, tree.fileOf(own), is))) changed.add(key);
    }
    for (const { dir, name, ino } of view.changedNames()) {
      if (diverted.has(`${dir} ${name}`)) continue;
      const is = ino === 0 || isPrivateIno(dir) ? null : lower.lookup(dir, name);
      const own = is === null || !isReg(is.mode) ? null : view.inode(ino as Ino);
      const key = own === null ? undefined : places(lower).get(`${dir} ${name}`);
      if (key === undefined || changed.has(key)) continue;
      if (!(await sameContent(own!, tree.fileOf(own!), is!))) changed.add(key);
    }
    const packages = ownStatus(tree, view);
    return { packages, changed, former: formerNames(packages, seen, tree, { view, lower }) };
  } finally {
    await view.close();
  }
}

function formerNames(
  ours: Packages | null,
  seen: Packages,
  tree: EnvTree,
  env: Omit<InfoOfEnv, 'infoDir'>,
): Set<string> {
  const infoDir = tree.find(`${INFO_DIR}/.`)?.dir;
  if (ours === null || infoDir === undefined) return new Set();
  const former = [...ownPackages({ base: seen, ours, theirs: seen })].filter(([key]) => {
    return isFormerVersion({ ...env, infoDir }, seen.get(key) ?? null, ours.get(key) ?? null);
  });
  return new Set(former.map(([, { name }]) => name));
}

/** The packages of stacks; each stack is read once. */
class CurrentPackages {
  private readonly store: Store;
  private readonly known = new Map<string, Packages>();
  private readonly files = new WeakMap<LowerTree, ReadonlyMap<string, string>>();

  constructor(store: Store) {
    this.store = store;
  }

  ofStack(stack: readonly StackRef[]): Packages {
    const key = stack.map(({ templateId, version }) => `${templateId}@${version}`).join(' ');
    let packages = this.known.get(key);
    if (packages === undefined) {
      packages = this.read(stack);
      this.known.set(key, packages);
    }
    return packages;
  }

  private read(stack: readonly StackRef[]): Packages {
    // A stack that no env has may not have its composition yet.
    const planned = filesToCompose(this.store, stack).find(({ path }) => path === STATUS_PATH);
    if (planned !== undefined) return packagesOf(planned.content);
    return packagesIn(new EnvTree(this.store, this.store.lowerTree(stack), null));
  }

  /** Maps each file, as "DIR NAME", to its package. Files that an administrator may change (conffiles) are left out. */
  places(stack: readonly StackRef[], lower: LowerTree): ReadonlyMap<string, string> {
    let places = this.files.get(lower);
    if (places === undefined) {
      places = filePlaces(this.ofStack(stack), new EnvTree(this.store, lower, null));
      this.files.set(lower, places);
    }
    return places;
  }
}

function filePlaces(packages: Packages, tree: EnvTree): Map<string, string> {
  const places = new Map<string, string>();
  for (const record of packages.values()) {
    const conffiles = new Set(conffilesOf(tree, record));
    for (const path of filesOf(tree, record)) {
      const at = conffiles.has(path) ? null : tree.find(path);
      if (at !== null) places.set(`${at.dir} ${at.name}`, record.key);
    }
  }
  return places;
}

/** Lists the packages that are one env's own, compared with the versions that it sees. */
export async function ownPackagesOf(store: Store, row: EnvRow): Promise<StalePackage[]> {
  const seen = new CurrentPackages(store).ofStack(store.resolveStack(row));
  const { packages: ours, former } = await readEnv(store, row, seen, () => new Map());
  if (ours === null) return [];
  const own = ownPackages({ base: seen, ours, theirs: seen });
  return [...own.values()].map(({ name, why: reason, own: version, template }) => {
    const why = former.has(name) && reason !== 'held' ? 'needed' : reason;
    return { env: row.name, package: name, own: version, template, why };
  });
}
