/** Plans what a patch, or the way back, does in one env: packages are decided as a whole, other files one by one. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { type Ino, isPrivateIno, type Name, nameFromText, nameToText } from '../../base/ids.ts';
import { isDir, isReg, PERM_MASK } from '../../base/mode.ts';
import { DATA_OBJECT, FLAG_KEPT, type InodeRecord } from '../../codec/inode-record.ts';
import type { CompletedPackages, PatchAct, Policy } from '../../codec/patch-record.ts';
import { sameXattrs } from '../../codec/same-inode.ts';
import { type DirSteps, encodeSteps, makeStep, type Step } from '../../codec/steps.ts';
import { ctimeIsNewer } from '../../driver/core/blob-stat.ts';
import { type OwnRecords, touchedOnly } from '../../driver/core/follow.ts';
import { withOwnAttributes } from '../../driver/core/own-attributes.ts';
import { namesIn } from '../../driver/core/own-names.ts';
import type { DeltaName, DirEntryRef } from '../../driver/core/ports.ts';
import { HIDDEN } from '../../driver/core/steps.ts';
import type { DiffEntry, TreeDiff } from '../../driver/core/tree-diff.ts';
import type { DeltaView } from '../../driver/delta/read-delta.ts';
import { dirPath } from '../../store/dir-path.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';
import { STATUS_PATH } from '../merge/own-records.ts';
import type { OwnPackage, PackageRecord } from '../merge/packages.ts';
import { administeredSteps } from '../packages/administered.ts';
import { EnvTree } from '../packages/env-tree.ts';
import { keptDir, keptNames } from '../packages/kept-names.ts';
import { type EnvOnTheWay, PackagesOfStep } from '../packages/own-packages.ts';
import { INFO_DIR, isInfoOf, listPathOf } from '../packages/package-files.ts';
import { Relinks } from '../packages/relinks.ts';
import { isAsUnpacked } from '../packages/replaced-files.ts';
import { seenFile, sha256 } from '../packages/same-file.ts';
import { planAct, writeDurably } from './acts.ts';
import { type Completing, type Decided, decideCompleting } from './decide-completing.ts';
import { dependencyPolicyOf } from './dependency-policy.ts';
import { openView, privateFile } from './meets.ts';
import type { EnvMove } from './moves.ts';
import { takenPackages } from './package-policy.ts';
import { isRewritten, policyOf } from './policy.ts';

/** The work of a patch in one env: what it makes before the flip and with it, and what becomes of packages. */
export interface EnvPlan {
  readonly acts: readonly PatchAct[];
  /** Name, in the env's directory, of the file with the steps to make before the env sees the new versions; null: no steps. */
  readonly before: string | null;
  /** Packages that stay the env's own. */
  readonly own: readonly OwnPackage[];
  /** Names of packages that were kept back because packages of the env's own need them, and that follow again. */
  readonly released: readonly string[];
  /** Dependencies that are no longer met, in apt's words. */
  readonly unmet: readonly string[];
  /** Why apt could not judge the dependencies; null if it could, or did not have to. */
  readonly unjudged: string | null;
  /** The packages that apt is to bring along once the env has moved, or why it can't; null if it does not have to. */
  readonly completion: CompletedPackages | null;
}

/** The facts of a patch that planEnv() needs. */
export interface PlanOptions {
  readonly patch: number;
  readonly policies: readonly Policy[];
  /** Acts that put back what earlier patches set aside. The plan leaves their names to them. */
  readonly restores: readonly PatchAct[];
  /** How far the policy `complete` has got. By default: it was not tried yet, and nothing is taken back. */
  readonly completing?: Completing;
}

/** Plans one env's move; null if there is nothing to do. Writes files into the env's directory, and changes nothing else. */
export async function planEnv(
  store: Store,
  move: EnvMove,
  options: PlanOptions,
): Promise<EnvPlan | null> {
  const view = await openView(store, move.row);
  if (view === null) return null;
  try {
    const env = { store, view, ...move };
    const taken = takenPackages(options.policies);
    const policy = dependencyPolicyOf(options.policies, move.row);
    const { completing = { trial: null, brought: null } } = options;
    const decided = await decideCompleting(env, { taken }, policy, completing);
    return await new Planner(env, decided, options).plan();
  } finally {
    await view.close();
  }
}

class Planner {
  readonly store: Store;
  readonly row: EnvRow;
  readonly change: TreeDiff;
  readonly view: DeltaView;
  private readonly options: PlanOptions;
  private readonly decided: Decided;
  readonly packages: PackagesOfStep;
  private readonly policy;
  private readonly acts: PatchAct[] = [];
  private readonly steps: Step[] = [];
  private readonly seen = new Set<string>();
  private readonly tree: EnvTree;
  private readonly relinks: Relinks;
  private readonly own: OwnRecords;

  constructor(env: EnvOnTheWay, decided: Decided, options: PlanOptions) {
    const { store, row, view, change } = env;
    this.store = store;
    this.decided = decided;
    this.row = row;
    this.change = change;
    this.view = view;
    this.options = options;
    const taken = takenPackages(options.policies);
    this.packages = new PackagesOfStep(env, { taken }, decided.verdict);
    this.policy = policyOf(options.policies);
    this.tree = new EnvTree(store, change.from, { id: row.id, view });
    this.own = { delta: view, layers: change.from };
    this.relinks = new Relinks({
      view,
      envDir: envDir(store.root, row.id),
      from: change.from,
      to: change.to,
      isKept: (place) => this.packages.isOwn(place),
      mayGrow: (place) => this.packages.isFollowing(place),
      anyTime: (dir, name) => this.isMade({ dir, name }),
    });
  }

  async plan(): Promise<EnvPlan | null> {
    const { packages, options } = this;
    const back = options.restores.filter(({ what }) => what === 'restored');
    for (const act of back) this.seen.add(placeOf(act));
    const administered = await administeredSteps(this);
    for (const place of administered.places) this.seen.add(place);
    this.steps.push(...packages.after, ...administered.steps);
    const replaced = await this.planReplaced();
    await this.takePackages();
    await this.releasePackages();
    for (const { change, own } of ownNames(this.view, this.change))
      await this.planName(change, own);
    await this.planCoveredDirs();
    this.planTouchedDirs();
    await this.planSamePackages();
    this.steps.push(...this.relinks.steps);
    // A file that can't be put back may still be merged.
    const planned = new Set(this.acts.map(placeOf));
    const acts = [...options.restores.filter((act) => !planned.has(placeOf(act))), ...this.acts];
    // Last, because the directories of a package that is taken can go only when its files have been set aside.
    if (this.steps.length > 0) acts.push(this.stepsAct('steps', this.steps));
    const first = [...packages.before, ...administered.before, ...replaced];
    const before = first.length === 0 ? null : this.write('keep', first);
    const { own } = packages;
    const { verdict, completion } = this.decided;
    const { unmet = [], unable: unjudged = null } = verdict ?? {};
    const isNothing = acts.length === 0 && before === null && own.length === 0;
    if (isNothing && unmet.length === 0 && unjudged === null) return null;
    const released = packages.released.map(({ name }) => name);
    return { acts, before, own, released, unmet, unjudged, completion };
  }

  /** True the first time for each name. False for names that are put back, and for those of an env's own package. */
  private isNew(place: DirEntryRef): boolean {
    const key = placeOf(place);
    if (this.seen.has(key) || this.packages.isOwn(place)) return false;
    this.seen.add(key);
    return true;
  }

  private async planName(change: DiffEntry, name: DeltaName): Promise<void> {
    const { dir, was, is } = change;
    if (!this.isNew(change)) return;
    // Byref's own entry stays, unless it belongs to a package that follows.
    const { packages } = this;
    const isKept = this.isByrefs(name) && packages.isKeptForOwn(change);
    if (isKept && !packages.isFollowing(change)) return;
    // dpkg removed it in the env when the package was another version; it did not have it then, or no longer has it.
    const isGone = name.ino === 0 && (was === null || is === null);
    if (isGone && this.packages.isFollowing(change)) {
      this.steps.push(makeStep('relink', change, 0));
      return;
    }
    // A template's directory that the env keeps, or has moved and moved back, follows.
    if (name.ino !== 0 && name.ino === was?.ino && name.ino === is?.ino) return;
    // So does a file of which the env has only set attributes.
    if (touchedOnly(this.own, change) !== null) return;
    if (await this.relinkIfOfPackage(change, name)) return;
    const own = name.ino === 0 || isDir(name.type) ? null : this.view.inode(name.ino);
    if (own !== null && (await this.relinks.shareWithOrigin(change, own))) return;
    const parent = own === null ? null : pathOf(this.store, this.change, dir);
    if (own === null || parent === null) return;
    await this.planFile(change, own, `${nameFromText(parent)}/${change.name}`);
  }

  /** True for a name that byref itself hid, or kept as it was. */
  private isByrefs({ ino, type }: DeltaName): boolean {
    if (ino === 0) return type === HIDDEN;
    return ((this.view.inode(ino)?.flags ?? 0) & FLAG_KEPT) !== 0;
  }

  /**
   * Relinks a name if byref hid it, a package that follows has it, or programs write it anew. Other files of no package go
   * path by path: what the env has made its own of them stays, until `byref relink`.
   */
  private async relinkIfOfPackage(change: DiffEntry, own: DeltaName): Promise<boolean> {
    const isOurs = own.ino === 0 && own.type === HIDDEN;
    if (!isOurs && !this.packages.isFollowing(change) && !this.isMade(change)) return false;
    return this.relinks.add(change, own);
  }

  /** True for dpkg's and apt's own records, and for files that commands generate from others. */
  private isMade({ dir, name }: DirEntryRef): boolean {
    const parent = pathOf(this.store, this.change, dir);
    const bytes = parent === null ? '' : `${nameFromText(parent)}/${name}`;
    return isRewritten(bytes);
  }

  /**
   * Relinks directories that the env made anew and that lie over a template's directory in which something changes, if a
   * package that follows has them.
   */
  private async planCoveredDirs(): Promise<void> {
    for (const dir of this.change.byDir.keys()) {
      const place = this.change.placeOf(dir);
      const own = place === null ? null : this.view.name(place.dir, place.name);
      if (own === null || own.ino === 0 || own.ino === dir) continue;
      if (this.packages.isFollowing(place!)) await this.relink(place!, own);
    }
  }

  /** Brings directories of which the env has a record to the new attributes. Attributes that the env has set stay. */
  private planTouchedDirs(): void {
    for (const { dir, name, was, is } of this.change.of('kept')) {
      if (was === null || is === null || sameAttributes(was, is)) continue;
      const own = this.view.inode(is.ino);
      if (own === null || own.nlink === 0) continue;
      const next = withOwnAttributes(was, own, is, { sec: 0, nsec: 0 }) ?? is;
      if (sameAttributes(own, next)) continue;
      const { mode, uid, gid } = next;
      const xattrs = [...(next.xattrs ?? [])].map(
        ([key, value]) => [key, value.toString('base64')] as const,
      );
      const attributes = { mode: mode & PERM_MASK, uid, gid, xattrs };
      this.steps.push({ ...makeStep('dress', { dir, name }, is.ino), source: is.ino, attributes });
    }
  }

  /** Takes over all that the env has of the packages that policies hand to the templates. */
  private async takePackages(): Promise<void> {
    const { packages, view } = this;
    for (const { name, paths } of packages.taken) {
      for (const at of paths) {
        const found = this.tree.find(at);
        const own = found === null ? null : view.name(found.dir, found.name);
        if (found !== null && own !== null) await this.takeName(name, found, own, at);
      }
      if (packages.infoDir === null) continue;
      for (const own of [...namesIn(view, packages.infoDir)]) {
        if (!isInfoOf(name, own.name)) continue;
        const place = { dir: packages.infoDir, name: own.name };
        await this.takeName(name, place, own, `${INFO_DIR}/${own.name}`);
      }
    }
  }

  /** Lets a file that byref kept follow again. Attributes that the env has set stay. */
  private releaseFile(place: DirEntryRef, ino: Ino): void {
    const own = this.view.inode(ino)!;
    const is = this.change.to.lookup(place.dir, place.name);
    const isShared = own.nlink === 1 && (is === null || (is.nlink === 1 && !isDir(is.mode)));
    const step = makeStep(isShared ? 'share' : 'relink', place, ino, own);
    this.steps.push(isShared ? { ...step, like: ino } : step);
  }

  /**
   * Gives up what byref kept or hid for packages that follow again. The env's own changes to their files are treated like
   * changes to any other file.
   */
  private async releasePackages(): Promise<void> {
    const { from, to } = this.change;
    const templates = [from, to].map((layers) => new EnvTree(this.store, layers, null));
    for (const place of keptNames(this.view, [this.tree, ...templates], this.packages)) {
      const own = this.view.name(place.dir, place.name)!;
      if (isDir(own.type)) await this.releaseDir(place, own);
      else if (own.ino === 0) await this.relink(place, own);
      else if (this.isNew(place)) this.releaseFile(place, own.ino);
    }
    if (this.packages.released.length > 0) await this.planSharedFiles();
  }

  private async releaseDir(place: DirEntryRef, own: DeltaName): Promise<void> {
    const { from, to } = this.change;
    const isThere = [from, to].some((layers) => layers.lookup(place.dir, place.name) !== null);
    const tree = isThere || own.ino === 0 ? null : keptDir(this.view, own.ino);
    if (tree === null) await this.relink(place, own);
    else if (this.isNew(place)) {
      this.steps.push({ ...makeStep('dissolve', place, own.ino), tree });
      this.seeAll(tree);
    }
  }

  private seeAll({ ino, relink, move, dirs }: DirSteps): void {
    for (const { name } of [...relink, ...dirs]) this.seen.add(placeOf({ dir: ino, name }));
    for (const { name } of move)
      if (this.isNew({ dir: ino, name }))
        this.steps.push(makeStep('relink', { dir: ino, name }, 0));
    for (const { tree } of dirs) this.seeAll(tree);
  }

  /** Moves the records of packages that follow again along, even where the templates' record files do not change. */
  private async planSharedFiles(): Promise<void> {
    for (const at of RECORDS) {
      const found = this.tree.find(at);
      const own = found === null ? null : this.view.name(found.dir, found.name);
      if (found === null || own === null || own.ino === 0 || isDir(own.type)) continue;
      const { dir, name } = found;
      const [was, is] = [this.change.from.lookup(dir, name), this.change.to.lookup(dir, name)];
      const record = this.view.inode(own.ino);
      if (record !== null && is !== null && this.isNew(found))
        await this.planFile({ dir, name, was, is }, record, at);
    }
  }

  /**
   * Handles files of the env's own packages that packages which follow replace: the templates' files show, and dpkg's lists
   * of the env's packages no longer name them. Returns the steps to make before.
   */
  private async planReplaced(): Promise<Step[]> {
    const before: Step[] = [];
    for (const { record, paths } of this.packages.replaced.values()) {
      for (const path of paths) {
        const found = this.tree.find(path);
        const own = found === null ? null : this.view.name(found.dir, found.name);
        if (own === null || own.ino === 0 || !isAsUnpacked(this.tree, record, path)) continue;
        if (this.isNew(found!)) this.relinkWhatever(found!, own.ino);
      }
      before.push(...(await this.planShorterList(record, paths)));
    }
    return before;
  }

  private relinkWhatever(place: DirEntryRef, ino: Ino): void {
    const record = this.view.inode(ino);
    if (record === null) return;
    const seen = seenFile(privateFile(this.store, this.row, ino));
    const shown = seen !== null && ctimeIsNewer(record, seen) ? seen : record;
    this.steps.push(makeStep('relink', place, ino, shown));
  }

  private async planShorterList(
    record: PackageRecord,
    without: ReadonlySet<string>,
  ): Promise<Step[]> {
    const at = listPathOf(this.tree, record);
    const found = at === null ? null : this.tree.find(at);
    if (at === null || found?.record == null) return [];
    const lines = this.tree.contentOf(found.record)?.split('\n') ?? [];
    const own = this.view.name(found.dir, found.name);
    const { dir, name } = found;
    const { ino } = found.record;
    const file = `merge.${this.options.patch}.${this.acts.length}`;
    const target = path.join(envDir(this.store.root, this.row.id), file);
    const text = lines.filter((line) => !without.has(line)).join('\n');
    writeDurably(target, Buffer.from(text, 'latin1'));
    const merged = { ino: 0, sha256: await sha256(target) };
    const seen = seenFile(privateFile(this.store, this.row, ino));
    const base = { path: nameToText(at as Name), dir, name, ino, done: false };
    this.acts.push({ ...base, what: 'updated', file, merged, ...(seen === null ? {} : { seen }) });
    return own === null ? [makeStep('keep', { dir, name }, ino)] : [];
  }

  private async takeName(
    of: string,
    place: DirEntryRef,
    own: DeltaName,
    at: string,
  ): Promise<void> {
    if (!this.isNew(place)) return;
    const { dir, name } = place;
    if (own.ino === 0) {
      this.steps.push(makeStep('relink', place, 0));
      return;
    }
    const [was, is] = [this.change.from.lookup(dir, name), this.change.to.lookup(dir, name)];
    const isSame = await this.relinks.add({ dir, name, was, is }, own);
    if (isSame) return;
    if (isDir(own.type)) {
      this.relinks.addOwnDir(place, own.ino);
      return;
    }
    const base = { path: nameToText(at as Name), dir, name, ino: own.ino, done: false };
    this.acts.push({ ...base, what: 'taken', package: of });
  }

  /** Relinks packages that the env already has in the version that comes, including files that do not change. */
  private async planSamePackages(): Promise<void> {
    const { packages, view } = this;
    if (packages.sameNames.length === 0) return;
    for (const at of packages.samePaths) {
      const found = this.tree.find(at);
      const own = found === null ? null : view.name(found.dir, found.name);
      if (found === null || isPrivateIno(found.dir)) continue;
      if (own === null) this.relinks.addTouchedDir(found);
      else if (own.ino !== 0) await this.relink(found, own);
    }
    if (packages.infoDir === null) return;
    for (const own of namesIn(view, packages.infoDir)) {
      const isOfOne = packages.sameNames.some((name) => isInfoOf(name, own.name));
      if (isOfOne && own.ino !== 0)
        await this.relink({ dir: packages.infoDir, name: own.name }, own);
    }
  }

  private async relink(place: DirEntryRef, own: DeltaName): Promise<void> {
    if (!this.isNew(place)) return;
    const { dir, name } = place;
    const [was, is] = [this.change.from.lookup(dir, name), this.change.to.lookup(dir, name)];
    await this.relinks.add({ dir, name, was, is }, own);
  }

  private async planFile(change: DiffEntry, own: InodeRecord, bytes: string): Promise<void> {
    const { store, row, options, packages } = this;
    const file = `merge.${options.patch}.${this.acts.length}`;
    const action = (own.flags & FLAG_KEPT) !== 0 ? 'take' : this.policy(bytes);
    const wanted = { change, own, bytes, action, file };
    const act = await planAct(store, row, wanted, (format, contents) => {
      const { ours } = contents;
      const { base, theirs } = packages.mergeSides(format, bytes, contents, ours);
      return { ours, base, theirs: theirs ?? '' };
    });
    if (act === null) this.planConffile(change, own, bytes);
    else if (act.what === 'updated' && act.merged?.sha256 === change.is?.object) {
      this.relinkMerged(change, own, act);
    } else this.acts.push(act);
  }

  /** Where the merge equals the templates' file, the env no longer needs a file of its own. */
  private relinkMerged(change: DiffEntry, own: InodeRecord, act: PatchAct): void {
    const { is } = change;
    const isAlike = own.mode === is?.mode && own.uid === is.uid && own.gid === is.gid;
    if (act.seen === undefined || !isAlike || act.file === undefined) {
      this.acts.push(act);
      return;
    }
    rmSync(path.join(envDir(this.store.root, this.row.id), act.file), { force: true });

    this.steps.push(
      makeStep('relink', change, own.ino, ctimeIsNewer(own, act.seen) ? act.seen : own),
    );
  }

  /**
   * Does as dpkg does where it can't ask: the administrator's configuration file stays, and the package's is put beside it.
   * The latter goes when the package no longer has the file.
   */
  private planConffile(change: DiffEntry, own: InodeRecord, bytes: string): void {
    const { dir, was, is } = change;
    const isNew = is !== null && isReg(is.mode) && was?.object !== is.object;
    if (!isReg(own.mode) || (is !== null && !isNew) || !this.packages.isConffile(bytes)) return;
    const place = { dir, name: `${change.name}.dpkg-dist` as Name };
    const there = this.view.name(dir, place.name);
    const old = there === null || there.ino === 0 ? null : this.view.inode(there.ino);
    // A .dpkg-dist that is not the package's own file is somebody's work.
    if (old !== null && old.data !== DATA_OBJECT) return;
    if (old !== null) this.steps.push(makeStep('relink', place, old.ino, old));
    if (is !== null) this.steps.push(makeStep('place', place, is.ino));
  }

  private stepsAct(what: 'steps', steps: readonly Step[]): PatchAct {
    const file = this.write(what, steps);
    return { what, path: '', dir: 0, name: '', ino: 0, file, done: false };
  }

  private write(what: string, steps: readonly Step[]): string {
    const name = `${what}.${this.options.patch}`;
    writeDurably(path.join(envDir(this.store.root, this.row.id), name), encodeSteps(steps));
    return name;
  }
}

const sameAttributes = (a: InodeRecord, b: InodeRecord): boolean =>
  a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && sameXattrs(a.xattrs, b.xattrs);

const placeOf = ({ dir, name }: { readonly dir: number; readonly name: string }): string =>
  `${dir} ${name}`;

/** Files that may hold records of packages that follow again. */
const RECORDS = [
  STATUS_PATH,
  '/var/lib/apt/extended_states',
  '/var/lib/dpkg/diversions',
  '/var/lib/dpkg/triggers/File',
  '/var/lib/ucf/registry',
];

/** Up to so many changed names of a directory are looked up one by one; for more, all the env's names there are read. */
const LOOKED_UP_MAX = 16;

/** Yields the changed names that the env has its own entry for, or has removed. */
function* ownNames(
  view: DeltaView,
  change: TreeDiff,
): Generator<{ change: DiffEntry; own: DeltaName }> {
  for (const [dir, names] of change.byDir) {
    if (names.size <= LOOKED_UP_MAX) {
      for (const each of names.values()) {
        const own = view.name(dir, each.name);
        if (own !== null) yield { change: each, own };
      }
      continue;
    }
    for (const own of namesIn(view, dir)) {
      const each = names.get(own.name);
      if (each !== undefined) yield { change: each, own };
    }
  }
}

const paths = new WeakMap<TreeDiff, Map<Ino, string | null>>();

/** Returns a directory's path as text. It is looked up once for all envs that make the same change. */
function pathOf(store: Store, change: TreeDiff, dir: Ino): string | null {
  const known = paths.get(change) ?? new Map<Ino, string | null>();
  paths.set(change, known);
  let found = known.get(dir);
  if (found === undefined) {
    found = dirPath(store.tables, dir);
    known.set(dir, found);
  }
  return found;
}
