/** Finds the packages that stay an env's own when it goes to another stack of templates, and the steps that keep them whole. */
import { type Ino, type Name, ROOT_INO } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import { HIDDEN, makeStep, type Step } from '../../codec/steps.ts';
import { touchedOnly } from '../../driver/core/follow.ts';
import { entriesOf } from '../../driver/core/lower-entries.ts';
import type { DirEntryRef } from '../../driver/core/ports.ts';
import { ReachedDirs } from '../../driver/core/reached-dirs.ts';
import type { DiffEntry, TreeDiff } from '../../driver/core/tree-diff.ts';
import type { DeltaView } from '../../driver/delta/read-delta.ts';
import type { EnvRow, Store } from '../../store/store.ts';
import { alternativePaths, changedChoices } from '../merge/alternatives.ts';
import type { KeyedFormat } from '../merge/format.ts';
import {
  followingStatus,
  type OwnRecords,
  type TemplateSides,
  withoutOwnRecords,
  withReleased,
} from '../merge/own-records.ts';
import {
  type OwnPackage,
  ownPackages,
  type PackageRecord,
  type Packages,
  packagesOf,
  STATUS_PATH,
} from '../merge/packages.ts';
import type { PackageVerdict } from './dependencies.ts';
import { EnvTree } from './env-tree.ts';
import { conffilesOf, filesOf, INFO_DIR, isInfoOf, packagesIn } from './package-files.ts';
import {
  type ReplacedFiles,
  type ReplacingSides,
  replacedFiles,
  type SharedFile,
  sharedFiles,
} from './replaced-files.ts';

/** The templates' side of a step, the same for all envs that make it. */
interface TemplatePackages {
  readonly base: Packages;
  readonly theirs: Packages;
  readonly baseTree: EnvTree;
  readonly theirsTree: EnvTree;
  readonly infoDir: Ino | null;
  /** The package (its key) that has a place, for the packages that the step changes; null until it is asked for. */
  places: ReadonlyMap<string, string> | null;
}

/** The directory in which dpkg's update-alternatives keeps its state. */
export const ALTERNATIVES_DIR = '/var/lib/dpkg/alternatives';

const known = new WeakMap<TreeDiff, TemplatePackages>();

function templatePackages(store: Store, change: TreeDiff): TemplatePackages {
  let found = known.get(change);
  if (found === undefined) {
    const baseTree = new EnvTree(store, change.from, null);
    const theirsTree = new EnvTree(store, change.to, null);
    const infoDir =
      (theirsTree.find(`${INFO_DIR}/.`) ?? baseTree.find(`${INFO_DIR}/.`))?.dir ?? null;
    const [base, theirs] = [packagesIn(baseTree), packagesIn(theirsTree)];
    found = { base, theirs, baseTree, theirsTree, infoDir, places: null };
    known.set(change, found);
  }
  return found;
}

/** An env, and the change of its templates that it is about to make. */
export interface EnvOnTheWay {
  readonly store: Store;
  readonly row: EnvRow;
  readonly view: DeltaView;
  readonly change: TreeDiff;
}

/** A package as the templates have it before and after a step; null where they do not have it. */
export interface FollowingPackage {
  readonly was: PackageRecord | null;
  readonly is: PackageRecord | null;
}

/** A package with all paths that any version of it has. */
export interface PackagePaths {
  /** As in Packages: what identifies it in a status file. */
  readonly key: string;
  readonly name: string;
  readonly paths: readonly string[];
}

/** Returns what an env has, and what it goes to. Null: dpkg in the env says the same as in its templates. */
export function sidesOf({ store, row, view, change }: EnvOnTheWay, next: NextPackages) {
  const { infoDir, ...sides } = templatePackages(store, change);
  const tree = new EnvTree(store, change.from, { id: row.id, view });
  const ours = ownStatus(tree, view);
  const theirs = next.status === undefined ? sides.theirs : packagesOf(next.status);
  return ours === null ? null : { base: sides.base, theirs, ours, tree, infoDir };
}

/** The facts beside the templates that decide about packages. */
export interface NextPackages {
  /** Names of packages that follow although they are the env's own. */
  readonly taken: ReadonlySet<string>;
  /** The status file of the next stack, if the composition that holds it is not made yet. */
  readonly status?: string | null | undefined;
}

/** Tells for one env and one step what becomes of each package and its files. */
export class PackagesOfStep {
  /** The packages that stay the env's own, of those that the step changes. */
  readonly own: readonly OwnPackage[];
  /** Steps to be made before the env sees the new stack. */
  readonly before: readonly Step[];
  /** Paths of packages that the step changes in the templates, and that the env has already as they will be. */
  readonly samePaths: readonly string[];
  /** The names of these packages. */
  readonly sameNames: readonly string[];
  /** Packages that follow because a policy says so. */
  readonly taken: readonly PackagePaths[];
  /** Packages that follow again: what the env has of them is there because of byref. */
  readonly released: readonly PackagePaths[];
  private readonly sides: TemplatePackages;
  private readonly allOwn: ReadonlyMap<string, OwnPackage>;
  /** Files of the env's own packages that go to packages which follow, by the keys of the former. */
  readonly replaced: ReadonlyMap<string, ReplacedFiles>;
  /** null: dpkg says in the env what its templates say. */
  private readonly replacing: ReplacingSides | null;
  /** Steps to be made with the flip. */
  readonly after: Step[] = [];
  private readonly places = new Set<string>();
  private readonly paths = new Set<string>();
  private conffiles: ReadonlySet<string> | null = null;
  /** Finds the places of all files of packages that stay, including those that the step does not change. */
  private readonly findOwnPlaces: () => ReadonlySet<string>;
  private ownPlaces: ReadonlySet<string> | null = null;

  /** @param verdict of the step, by decideStep(); null: dpkg says in the env what its templates say */
  constructor(
    env: EnvOnTheWay,
    { taken, status: next }: NextPackages,
    verdict: PackageVerdict | null,
  ) {
    const { store, row, view, change } = env;
    const sides = templatePackages(store, change);
    this.sides = next === undefined ? sides : { ...sides, theirs: packagesOf(next) };
    const tree = new EnvTree(store, change.from, { id: row.id, view });
    const ours = verdict?.ours ?? null;
    this.allOwn = verdict?.own ?? NO_OWN;
    this.taken = ours === null ? [] : this.findTaken(tree, ours, taken);
    this.findOwnPlaces = () =>
      new Set(
        [...this.allOwn.keys()]
          .flatMap((key) => this.pathsOf(tree, ours, key).paths)
          .flatMap((path) => [sides.baseTree.find(path), sides.theirsTree.find(path)])
          .flatMap((at) => (at === null ? [] : [`${at.dir} ${at.name}`])),
      );
    const isChanged = (key: string): boolean =>
      this.sides.base.get(key)?.stanza !== this.sides.theirs.get(key)?.stanza;
    // A package that was installed anew in the template has the same record, but other files.
    const isRemade = (name: string): boolean =>
      change.find(sides.infoDir ?? ROOT_INO, `${name}.list` as Name) !== undefined;
    const changed = [...this.allOwn].filter(
      ([key, { name }]) => isChanged(key) || isRemade(name) || isRemade(key),
    );
    // A package that neither side has is not worth mentioning; what the env kept of its configuration stays all the same.
    this.own = [...this.allOwn]
      .filter(([key, { why }]) => why === 'needed' || isChanged(key))
      .map(([, each]) => each)
      .filter(isInEither);
    this.released = [...(verdict?.released ?? [])].map((key) => this.pathsOf(tree, ours, key));
    const same = [...(ours ?? [])].filter(([key, { version, architecture }]) => {
      const [was, is] = [this.sides.base.get(key), this.sides.theirs.get(key)];
      const isThere = is?.version === version && is.architecture === architecture;
      return isThere && was?.stanza !== is.stanza && !this.allOwn.has(key);
    });
    this.sameNames = same.map(([, { name }]) => name);
    this.samePaths = same.flatMap(([, record]) => filesOf(this.sides.theirsTree, record));
    this.replacing = ours === null ? null : this.replacingSides(tree, ours, new Map(changed));
    this.replaced = this.replacing === null ? new Map() : replacedFiles(this.replacing);
    this.before =
      ours === null || changed.length === 0 ? [] : this.keep(env, tree, ours, new Map(changed));
  }

  /** @param own the env's own packages that the step changes; those that only the env has count, too */
  private replacingSides(
    tree: EnvTree,
    ours: Packages,
    own: ReadonlyMap<string, OwnPackage>,
  ): ReplacingSides {
    const { base, theirs, baseTree, theirsTree } = this.sides;
    const isOnlyOurs = (key: string, name: string): boolean =>
      !base.has(key) && !theirs.has(key) && !recordNamed(base, name) && !recordNamed(theirs, name);
    const isOwn = ([key, { name }]: [string, PackageRecord]): boolean =>
      own.has(key) || isOnlyOurs(key, name);
    const coming = this.following().flatMap(({ is }) => is ?? []);
    return { tree, baseTree, theirsTree, coming, own: new Map([...ours].filter(isOwn)) };
  }

  /** Finds the files that own packages and coming ones both have, and that stay those of the former. */
  shared(): SharedFile[] {
    return this.replacing === null ? [] : sharedFiles(this.replacing, this.replaced);
  }

  /** Finds the packages of these names that would be the env's own. */
  private findTaken(tree: EnvTree, ours: Packages, names: ReadonlySet<string>) {
    if (names.size === 0) return [];
    const { base, theirs } = this.sides;
    return [...ownPackages({ base, ours, theirs })]
      .filter(([, { name }]) => names.has(name))
      .map(([key]) => this.pathsOf(tree, ours, key));
  }

  private pathsOf(tree: EnvTree, ours: Packages | null, key: string): PackagePaths {
    const { base, theirs, baseTree, theirsTree } = this.sides;
    const sides = [
      [ours?.get(key), tree],
      [base.get(key), baseTree],
      [theirs.get(key), theirsTree],
    ] as const;
    const paths = new Set(sides.flatMap(([record, at]) => filesOf(at, record)));
    const name = sides.find(([record]) => record)?.[0]?.name ?? key;
    return { key, name, paths: [...paths] };
  }

  get infoDir(): Ino | null {
    return this.sides.infoDir;
  }

  /** The trees of the stack that the step leaves, and of the one that it goes to. */
  get trees(): { readonly base: EnvTree; readonly theirs: EnvTree } {
    return { base: this.sides.baseTree, theirs: this.sides.theirsTree };
  }

  /** Returns the packages that follow, and that the step changes in the env. */
  following(): FollowingPackage[] {
    const { base, theirs } = this.sides;
    const keys = new Set([...base.keys(), ...theirs.keys()]);
    const released = new Set(this.released.map(({ key }) => key));
    return [...keys].flatMap((key) => {
      const [was, is] = [base.get(key) ?? null, theirs.get(key) ?? null];
      const isChanged = was?.stanza !== is?.stanza || released.has(key);
      return isChanged && !this.allOwn.has(key) ? [{ was, is }] : [];
    });
  }

  /** True for a place that belongs to a package which stays the env's own. */
  isOwn({ dir, name }: DirEntryRef): boolean {
    return this.places.has(`${dir} ${name}`);
  }

  /**
   * True for what byref keeps or hides for packages that stay the env's own. This includes packages that are the same before
   * and after the step: their files may be other inodes.
   */
  isKeptForOwn({ dir, name }: DirEntryRef): boolean {
    if (this.allOwn.size === 0) return false;
    if (dir === this.sides.infoDir)
      return [...this.allOwn.values()].some((each) => isInfoOf(each.name, name));
    this.ownPlaces ??= this.findOwnPlaces();
    return this.ownPlaces.has(`${dir} ${name}`);
  }

  /** True for a place that belongs, or belonged, to a package that the step changes and that follows. */
  isFollowing({ dir, name }: DirEntryRef): boolean {
    const { sides } = this;
    sides.places ??= placesOf(sides);
    const key = sides.places.get(`${dir} ${name}`);
    if (key !== undefined) return !this.allOwn.has(key);
    // No list of either side names it, but one of the env's own packages may have a file there.
    return dir === sides.infoDir && this.isInfoOfFollowing(name);
  }

  private isInfoOfFollowing(file: Name): boolean {
    const { base, theirs } = this.sides;
    const name = /^[^:]*?(?=(?::[^.:]+)?[.][^.]+$)/.exec(file)?.[0] ?? '';
    const isKnown = [base, theirs].some((side) => recordNamed(side, name));
    return isKnown && ![...this.allOwn.values()].some((each) => each.name === name);
  }

  /** True for a conffile of a package that follows: dpkg does not overwrite it where an administrator has changed it. */
  isConffile(path: string): boolean {
    this.conffiles ??= this.readConffiles();
    return this.conffiles.has(path);
  }

  /** Returns the sides for a merge of a shared file, without what the templates say of packages that stay the env's own. */
  mergeSides(
    format: KeyedFormat,
    path: string,
    sides: TemplateSides,
    ours: string | null,
  ): TemplateSides {
    const hasPath = (each: string): boolean => this.paths.has(each);
    const packages = this.allOwn;
    const theirs = withoutOwnRecords(format, path, sides, { packages, hasPath });
    const base = withReleased(format, path, sides.base, ours, this.releasedRecords());
    const without = { base, theirs };
    return path === STATUS_PATH ? followingStatus(without, ours, packages) : without;
  }

  private releasedRecords(): OwnRecords {
    const paths = new Set(this.released.flatMap((each) => each.paths));
    const packages = new Map(this.released.map((each) => [each.key, each]));
    return { packages, hasPath: (each) => paths.has(each) };
  }

  private readConffiles(): ReadonlySet<string> {
    const { base, theirs, baseTree, theirsTree } = this.sides;
    const isChanged = ({ key }: PackageRecord): boolean =>
      base.get(key)?.stanza !== theirs.get(key)?.stanza && !this.allOwn.has(key);
    const sides = [
      [base, baseTree],
      [theirs, theirsTree],
    ] as const;
    return new Set(
      sides.flatMap(([side, tree]) =>
        [...side.values()].filter(isChanged).flatMap((record) => conffilesOf(tree, record)),
      ),
    );
  }

  private keep(
    { view, change }: EnvOnTheWay,
    tree: EnvTree,
    ours: Packages,
    own: ReadonlyMap<string, OwnPackage>,
  ): Step[] {
    const { base, theirs, baseTree, theirsTree } = this.sides;
    const kept = new Set<string>();
    const wanted = new Map<string, DiffEntry>();
    const want = (each: DiffEntry | undefined, isKept: boolean): void => {
      if (each === undefined) return;
      const key = `${each.dir} ${each.name}`;
      wanted.set(key, each);
      if (isKept) kept.add(key);
    };
    for (const key of own.keys()) {
      // This holds as well for a package that is removed, and of which the configuration is left.
      const mine = new Set(filesOf(tree, ours.get(key)));
      const lists = [mine, filesOf(baseTree, base.get(key)), filesOf(theirsTree, theirs.get(key))];
      for (const path of new Set(lists.flatMap((list) => [...list]))) {
        if (this.replaced.get(key)?.paths.has(path)) continue;
        this.paths.add(path);
        for (const at of [baseTree.find(path), theirsTree.find(path)]) {
          if (at !== null) want(change.find(at.dir, at.name), mine.has(path));
        }
      }
    }
    // dpkg keeps something of a removed package too: what its purge needs.
    const present = new Map([...own].map(([key, { name }]) => [name, ours.has(key)]));
    for (const each of this.infoChanges(change)) {
      for (const [name, isPresent] of present) {
        if (isInfoOf(name, each.name)) want(each, isPresent);
      }
    }
    for (const path of this.ownAlternatives(change)) {
      for (const at of [baseTree.find(path), theirsTree.find(path)]) {
        if (at !== null) want(change.find(at.dir, at.name), true);
      }
    }
    for (const key of wanted.keys()) this.places.add(key);
    return this.stepsFor(wanted, kept, view, change);
  }

  /**
   * Returns the state files and links of those alternatives in which the step changes a choice that an own package offers.
   * They stay as they are, so that no link leads to a program that only the template's version has.
   */
  private ownAlternatives(change: TreeDiff): string[] {
    const { baseTree, theirsTree } = this.sides;
    const dir = (theirsTree.find(`${ALTERNATIVES_DIR}/.`) ?? baseTree.find(`${ALTERNATIVES_DIR}/.`))
      ?.dir;
    const names = dir === undefined ? [] : [...(change.byDir.get(dir)?.keys() ?? [])];
    return names.flatMap((name) => {
      const file = `${ALTERNATIVES_DIR}/${name}`;
      const [was, is] = [baseTree, theirsTree].map((tree) => tree.content(file) ?? '');
      const isOwn = changedChoices(was!, is!).some((path) => this.paths.has(path));
      return isOwn ? [file, ...alternativePaths(name, was!), ...alternativePaths(name, is!)] : [];
    });
  }

  private infoChanges({ byDir }: TreeDiff): Iterable<DiffEntry> {
    const { infoDir } = this.sides;
    return infoDir === null ? [] : (byDir.get(infoDir)?.values() ?? []);
  }

  private stepsFor(
    wanted: ReadonlyMap<string, DiffEntry>,
    kept: ReadonlySet<string>,
    view: DeltaView,
    change: TreeDiff,
  ): Step[] {
    const reached = new ReachedDirs(change, view);
    const steps: Step[] = [];
    const hidden = new Set<string>();
    const dirs: DiffEntry[] = [];
    const others = this.othersPlaces();
    for (const [key, { dir, name, was, is }] of wanted) {
      const mine = view.name(dir, name);
      // A package that follows has the file now.
      if (mine?.ino === 0 && mine.type === HIDDEN && others.has(key)) this.places.delete(key);
      const isKept = was !== null && kept.has(key) && !isDir(was.mode);
      const touched = { delta: view, lower: change.from };
      // Without this step it would follow.
      if (mine !== null && isKept && touchedOnly(touched, { dir, name, was, is }) !== null)
        steps.push(makeStep('keep', { dir, name }, mine.ino));
      if (mine !== null || reached.of(dir) !== 'there') continue;
      if (was !== null && kept.has(key)) {
        if (!isDir(was.mode)) steps.push(makeStep('keep', { dir, name }, was.ino));
      } else if (was === null && is !== null) {
        if (others.has(key)) this.places.delete(key);
        else if (isDir(is.mode)) dirs.push({ dir, name, was, is });
        else {
          hidden.add(key);
          steps.push(makeStep('hide', { dir, name }, 0));
        }
      } else if (was !== null && is !== null && !isDir(is.mode) && !others.has(key)) {
        // It goes from a package that follows to one that the env does not have in that version.
        this.after.push(makeStep('mask', { dir, name }, 0));
      }
    }
    const isAllHidden = (dir: Ino): boolean => {
      for (const { name, record } of entriesOf(change.to, dir)) {
        const isHidden = hidden.has(`${dir} ${name}`);
        if (!isHidden && !(isDir(record.mode) && isAllHidden(record.ino))) return false;
      }
      return true;
    };
    for (const { dir, name, is } of dirs) {
      if (isAllHidden(is!.ino)) steps.push(makeStep('hide', { dir, name }, 0));
      else this.places.delete(`${dir} ${name}`);
    }
    return steps;
  }

  /** Returns the places of files of packages that follow: one of these may have got a file of a package that stays. */
  private othersPlaces(): ReadonlySet<string> {
    const { base, theirs, theirsTree } = this.sides;
    const places = new Set<string>();
    for (const record of theirs.values()) {
      if (this.allOwn.has(record.key) || base.get(record.key)?.stanza === record.stanza) continue;
      for (const path of filesOf(theirsTree, record)) {
        const at = theirsTree.find(path);
        if (at !== null) places.add(`${at.dir} ${at.name}`);
      }
    }
    return places;
  }
}

const isInEither = ({ own, template }: OwnPackage): boolean => own !== null || template !== null;

const NO_OWN: ReadonlyMap<string, OwnPackage> = new Map();

/** Returns what dpkg knows in the env; null if that is what its templates say, or if it can't be read. */
export function ownStatus(tree: EnvTree, view: DeltaView): Packages | null {
  const at = tree.find(STATUS_PATH);
  if (at === null || view.name(at.dir, at.name) === null) return null;
  // The env removed the file, and with it all that dpkg knew.
  if (at.record === null) return null;
  const content = tree.contentOf(at.record);
  return content === null ? null : packagesOf(content);
}

function placesOf({ base, theirs, baseTree, theirsTree }: TemplatePackages): Map<string, string> {
  const places = new Map<string, string>();
  for (const [side, tree] of [
    [base, baseTree],
    [theirs, theirsTree],
  ] as const) {
    for (const record of side.values()) {
      if (base.get(record.key)?.stanza === theirs.get(record.key)?.stanza) continue;
      for (const path of filesOf(tree, record)) {
        const at = tree.find(path);
        if (at !== null) places.set(`${at.dir} ${at.name}`, record.key);
      }
    }
  }
  return places;
}

function recordNamed(side: Packages, name: string): boolean {
  if (side.has(name)) return true;
  for (const record of side.values()) if (record.name === name) return true;
  return false;
}
