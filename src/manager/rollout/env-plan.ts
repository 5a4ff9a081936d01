/** Plans what a patch, or the way back, does in one env: to packages as a whole, to other files one by one. */
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

/** What is to be done in one env. */
export interface EnvPlan {
  readonly acts: readonly PatchAct[];
  /** The file of the steps that are to be made before the env sees the new versions, by its name in the env's directory. */
  readonly before: string | null;
  /** Packages that stay the env's own. */
  readonly own: readonly OwnPackage[];
  /** Names of packages that were kept for others, and follow again. */
  readonly released: readonly string[];
  /** Dependencies that are not met any more, in apt's words. */
  readonly unmet: readonly string[];
  /** Why apt could not say whether there are some; null: it could, or had not to. */
  readonly unjudged: string | null;
  /** What apt is to bring along once the env is there, or why it can't; null: it has not to. */
  readonly completion: CompletedPackages | null;
}

export interface PlanOptions {
  readonly patch: number;
  readonly policies: readonly Policy[];
  /** Acts that put back what earlier patches set aside: those names are left to them. */
  readonly restores: readonly PatchAct[];
  /** Not yet tried, on the way to newer versions, unless it is given. */
  readonly completing?: Completing;
}

/** Null: there is nothing to do. Writes files into the env's directory, and changes nothing else. */
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
    // What can't be put back may be merged.
    const planned = new Set(this.acts.map(placeOf));
    const acts = [...options.restores.filter((act) => !planned.has(placeOf(act))), ...this.acts];
    // Last: of a package that is taken, directories go when its files are set aside.
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

  /** Each name once; those that are put back, and what is of an env's own package, are not looked at. */
  private isNew(place: DirEntryRef): boolean {
    const key = placeOf(place);
    if (this.seen.has(key) || this.packages.isOwn(place)) return false;
    this.seen.add(key);
    return true;
  }

  private async planName(change: DiffEntry, name: DeltaName): Promise<void> {
    const { dir, was, is } = change;
    if (!this.isNew(change)) return;
    // Unless it goes to a package that follows.
    const { packages } = this;
    const isKept = this.isByrefs(name) && packages.isKeptForOwn(change);
    if (isKept && !packages.isFollowing(change)) return;
    // dpkg removed it in the env, when the package was another version; it did not have it then, or has it no more.
    const isGone = name.ino === 0 && (was === null || is === null);
    if (isGone && this.packages.isFollowing(change)) {
      this.steps.push(makeStep('relink', change, 0));
      return;
    }
    // A template's directory that the env keeps, or moved and moved back: it follows.
    if (name.ino !== 0 && name.ino === was?.ino && name.ino === is?.ino) return;
    // So does what the env has set attributes of only.
    if (touchedOnly(this.own, change) !== null) return;
    if (await this.relinkIfOfPackage(change, name)) return;
    const own = name.ino === 0 || isDir(name.type) ? null : this.view.inode(name.ino);
    if (own !== null && (await this.relinks.shareWithOrigin(change, own))) return;
    const parent = own === null ? null : pathOf(this.store, this.change, dir);
    if (own === null || parent === null) return;
    await this.planFile(change, own, `${nameFromText(parent)}/${change.name}`);
  }

  /** True for what byref hid, or kept as it was. */
  private isByrefs({ ino, type }: DeltaName): boolean {
    if (ino === 0) return type === HIDDEN;
    return ((this.view.inode(ino)?.flags ?? 0) & FLAG_KEPT) !== 0;
  }

  /** Files of no package go path by path: what the env has made its own of them stays, until `byref relink`. */
  private async relinkIfOfPackage(change: DiffEntry, own: DeltaName): Promise<boolean> {
    const isOurs = own.ino === 0 && own.type === HIDDEN;
    if (!isOurs && !this.packages.isFollowing(change) && !this.isMade(change)) return false;
    return this.relinks.add(change, own);
  }

  /** True for what dpkg keeps, and what commands make of other files. */
  private isMade({ dir, name }: DirEntryRef): boolean {
    const parent = pathOf(this.store, this.change, dir);
    const bytes = parent === null ? '' : `${nameFromText(parent)}/${name}`;
    return isRewritten(bytes);
  }

  /** Directories that the env made anew lie over those of the templates, in which something changes. */
  private async planCoveredDirs(): Promise<void> {
    for (const dir of this.change.byDir.keys()) {
      const place = this.change.placeOf(dir);
      const own = place === null ? null : this.view.name(place.dir, place.name);
      if (own === null || own.ino === 0 || own.ino === dir) continue;
      if (this.packages.isFollowing(place!)) await this.relink(place!, own);
    }
  }

  /** Of a directory that the env has a record of, too, it keeps the attributes only that it has set. */
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

  /** All that the env has of packages which policies hand over to the templates. */
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

  /** What the env has set of its attributes stays. */
  private releaseFile(place: DirEntryRef, ino: Ino): void {
    const own = this.view.inode(ino)!;
    const is = this.change.to.lookup(place.dir, place.name);
    const isShared = own.nlink === 1 && (is === null || (is.nlink === 1 && !isDir(is.mode)));
    const step = makeStep(isShared ? 'share' : 'relink', place, ino, own);
    this.steps.push(isShared ? { ...step, like: ino } : step);
  }

  /** What byref kept or hid of packages that follow again. What the env made of their files is looked at like that of others. */
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

  /** Their records go along also where the step does not change the file. */
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
   * Files of packages of the env's own that packages which follow replace: theirs show, and dpkg's lists of the former name them no more.
   * Returns what is to be done before.
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

  /** What the env has already as it will be: also of what the step does not change. */
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

  /** The merge is what the templates have: the env needs no file of its own any more. */
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
   * As dpkg does where nobody is there to be asked: the administrator's stays, the package's is put beside it. That goes
   * with the package.
   */
  private planConffile(change: DiffEntry, own: InodeRecord, bytes: string): void {
    const { dir, was, is } = change;
    const isNew = is !== null && isReg(is.mode) && was?.object !== is.object;
    if (!isReg(own.mode) || (is !== null && !isNew) || !this.packages.isConffile(bytes)) return;
    const place = { dir, name: `${change.name}.dpkg-dist` as Name };
    const there = this.view.name(dir, place.name);
    const old = there === null || there.ino === 0 ? null : this.view.inode(there.ino);
    // Another one than the package's is somebody's work.
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

/** Files in which there may be records of packages that follow again. */
const RECORDS = [
  STATUS_PATH,
  '/var/lib/apt/extended_states',
  '/var/lib/dpkg/diversions',
  '/var/lib/dpkg/triggers/File',
  '/var/lib/ucf/registry',
];

/** So many changed names of one directory are looked up one by one; more are found by reading what the env has there. */
const LOOKED_UP_MAX = 16;

/** The changed names that the env has of its own, or has removed. */
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

/** As text; looked up once for all envs that make the change. */
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
