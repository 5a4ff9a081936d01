/**
 * Handles paths about which an env's administrator told dpkg something (diversions, stat overrides, path filters) when the
 * env's templates change: dpkg would have unpacked the new version's files elsewhere, with other attributes, or not at all.
 */
import { type Ino, isPrivateIno } from '../../base/ids.ts';
import { isDir, isLnk, isReg } from '../../base/mode.ts';
import { DATA_PRIVATE, type InodeRecord } from '../../codec/inode-record.ts';
import { type Compared, HIDDEN, makeStep, type Step } from '../../codec/steps.ts';
import { entriesOf } from '../../driver/core/lower-entries.ts';
import { hasOwnName, namesIn } from '../../driver/core/own-names.ts';
import type { DeltaName, DirEntryRef } from '../../driver/core/ports.ts';
import { ReachedDirs } from '../../driver/core/reached-dirs.ts';
import type { DeltaView } from '../../driver/delta/read-delta.ts';
import type { EnvRow, Store } from '../../store/store.ts';
import type { Diversion, PathFilters } from '../merge/dpkg-rules.ts';
import { type Administrator, administratorOf, type WantedAttributes } from './administrator.ts';
import { dpkgDistSteps } from './dpkg-dist.ts';
import { EnvTree, type TreeEntry } from './env-tree.ts';
import {
  byPath,
  type PackagePath,
  type PackageStep,
  pathsOf,
  type TemplatePath,
  templateAt,
} from './package-paths.ts';
import { sameDataAs } from './same-file.ts';

/** The env, what changes for it, and its packages. */
export interface AdministeredParts extends PackageStep {
  readonly store: Store;
  readonly row: EnvRow;
  readonly view: DeltaView;
}

/** The steps to make, and the places ("DIR NAME") under which nothing else is to be done. */
export interface AdministeredSteps {
  /** To be made before the env sees the new versions. */
  readonly before: readonly Step[];
  /** To be made together with the new versions. */
  readonly steps: readonly Step[];
  readonly places: ReadonlySet<string>;
}

/** Plans the steps for all paths about which the administrator of an env told dpkg something. */
export async function administeredSteps(parts: AdministeredParts): Promise<AdministeredSteps> {
  const { store, row, view, change, packages } = parts;
  const tree = new EnvTree(store, change.from, { id: row.id, view });
  const administrator = administratorOf(tree, view, packages.trees);
  const administered = new Administered(parts, tree, administrator);
  await administered.plan();
  return administered;
}

class Administered implements AdministeredSteps {
  readonly before: Step[] = [];
  readonly steps: Step[] = [];
  readonly places = new Set<string>();
  private readonly parts: AdministeredParts;
  private readonly tree: EnvTree;
  private readonly next: EnvTree;
  private readonly administrator: Administrator;
  private readonly reached: ReachedDirs;
  /** Places that will be absent in the env. */
  private readonly left = new Set<string>();
  private readonly dirsWithNames = new Map<Ino, boolean>();

  constructor(parts: AdministeredParts, tree: EnvTree, administrator: Administrator) {
    const { store, row, view, change } = parts;
    this.parts = parts;
    this.tree = tree;
    this.next = new EnvTree(store, change.to, { id: row.id, view });
    this.administrator = administrator;
    this.reached = new ReachedDirs(change, view);
  }

  async plan(): Promise<void> {
    const { diversions, overrides, filters } = this.administrator;
    const all = pathsOf(this.parts);
    if (diversions.length > 0 || overrides.size > 0 || filters !== null) {
      const paths = byPath(all);
      for (const each of diversions) await this.divert(each, paths.get(each.from) ?? null);
      for (const [path, wanted] of overrides) {
        const at = paths.get(path);
        if (at !== undefined) await this.dress(at, wanted);
      }
      if (filters !== null) await this.leaveOut(paths.values(), filters);
    }
    for (const [dir, paths] of all) {
      if (this.hasNames(dir)) for (const at of paths) this.showAgain(at);
    }
  }

  /** Puts the package's file where it is diverted to. The path itself keeps what the env has there. */
  private async divert({ from, to, by }: Diversion, of: PackagePath | null): Promise<void> {
    const at = of ?? templateAt(this.parts, from);
    if (at === null || this.isOther(at.place)) return;
    const isChanged = this.parts.change.find(at.place.dir, at.place.name) !== undefined;
    if (by !== null && of?.package === by) return;
    if (of === null && !isChanged) return;
    const { was, is } = at;
    if ([was, is].some((each) => each !== null && isDir(each.mode))) return;
    this.keepDiverted(at);
    const target = this.next.find(to) ?? this.tree.find(to);
    if (target === null || this.isOther(target)) return;
    this.places.add(placeOf(target));
    const wanted = this.administrator.overrides.get(from) ?? null;
    await this.putDiverted(target, at, wanted, of?.isConffile === true);
  }

  private keepDiverted({ place, was, is }: TemplatePath): void {
    const own = this.parts.view.name(place.dir, place.name);
    this.places.add(placeOf(place));
    if (own !== null) {
      // There is no longer anything to hide.
      if (isHidden(own) && is === null) this.steps.push(makeStep('relink', place, 0));
    } else if (this.isThere(place)) {
      if (was === null && is !== null) this.before.push(makeStep('hide', place, 0));
      // It was diverted without being moved. Keeping it would keep all its hard links, so with those the new version's shows.
      else if (was !== null && was.ino !== is?.ino && was.nlink === 1)
        this.before.push(makeStep('keep', place, was.ino));
    }
  }

  private async putDiverted(
    target: TreeEntry,
    { place, was, is }: TemplatePath,
    wanted: WantedAttributes | null,
    isConffile: boolean,
  ): Promise<void> {
    const own = this.ownAt(target);
    // The templates have a file of that name, which stays.
    if (own === null && target.record !== null) return;
    if (own?.record == null) {
      // dpkg takes a missing conffile that it had unpacked for one that the administrator removed.
      if (isConffile && was !== null) this.putBeside(target, was, is);
      if (is === null || (isConffile && was !== null)) return;
      const attributes = wanted === null ? {} : { attributes: wantedFor(is, wanted) };
      this.steps.push({ ...makeStep('put', target, 0), source: is.ino, ...attributes });
      return;
    }
    const seen = await this.same(own.record, place, [is, was]);
    if (seen === null && isConffile && isReg(own.record.mode)) this.putBeside(target, was, is);
    if (seen === null) return;
    if (is === null) this.steps.push(makeStep('relink', target, own.record.ino, seen));
    else {
      const attributes =
        wanted === null ? changedAttributes(own.record, was ?? is, is) : wantedFor(is, wanted);
      if (isCopyOf(own.record, is) && hasAttributes(own.record, attributes)) return;
      const step = makeStep('put', target, own.record.ino, seen);
      this.steps.push({ ...step, source: is.ino, attributes });
    }
  }

  /** Leaves what the administrator made of a diverted conffile, and puts the package's one beside it. */
  private putBeside(target: DirEntryRef, was: InodeRecord | null, is: InodeRecord | null): void {
    for (const step of dpkgDistSteps(this.parts.view, target, was, is)) this.step(step);
  }

  /** Gives the package's file the owner and mode that the administrator wants, even if the env has not seen it yet. */
  private async dress({ place, was, is }: PackagePath, override: WantedAttributes): Promise<void> {
    if (this.isOther(place) || this.places.has(placeOf(place))) return;
    const own = this.ownAt(place);
    if (is === null) {
      const seen =
        own?.record == null || was === null ? null : await this.same(own.record, place, [was]);
      if (seen !== null) this.step(makeStep('relink', place, own!.record!.ino, seen));
      return;
    }
    // A name that the administrator removed stays absent.
    const isAbsent = own?.record === null && (own.isHidden || was === null);
    if (own?.record === null && !isAbsent) return;
    const wanted = wantedFor(is, override);
    const dressed = { source: is.ino, attributes: wanted };
    // dpkg leaves a directory that exists as it is.
    if (isDir(is.mode)) {
      const isNew = own === null ? was === null : own.isHidden;
      if (isNew && this.isThere(place))
        this.steps.push({ ...makeStep('dress', place, 0), ...dressed });
      return;
    }
    if (own === null || own.record === null) {
      if (!this.isThere(place) || hasAttributes(is, wanted)) return;
      this.step({ ...makeStep('dress', place, 0), ...dressed });
      return;
    }
    const seen = await this.same(own.record, place, [is, was]);
    if (seen === null) return;
    const isAlready = own.record.ino === is.ino && hasAttributes(own.record, wanted);
    if (isAlready) this.places.add(placeOf(place));
    else this.step({ ...makeStep('dress', place, own.record.ino, seen), ...dressed });
  }

  /** Keeps what dpkg would not have unpacked from appearing, and removes an older version of it. */
  private async leaveOut(paths: Iterable<PackagePath>, filters: PathFilters): Promise<void> {
    const dirs: PackagePath[] = [];
    for (const at of paths) {
      const { path, place, was, is, isConffile } = at;
      if (is === null || !at.isListed || this.isOther(place)) continue;
      if (!filters.excludes(path, isDir(is.mode) || isLnk(is.mode))) continue;
      if (this.places.has(placeOf(place))) continue;
      if (isDir(is.mode)) dirs.push(at);
      else if (was === null || !isConffile) await this.leaveOutFile(at);
    }
    const depth = ({ path }: PackagePath): number => path.split('/').length;
    // Deepest first, so that a directory comes after those in it.
    for (const at of dirs.sort((a, b) => depth(b) - depth(a))) this.leaveOutDir(at);
  }

  private async leaveOutFile({ place, was, is }: TemplatePath): Promise<void> {
    const own = this.ownAt(place);
    if (own === null) {
      if (!this.isThere(place)) return;
      this.leaveOutPlace(place, was);
    } else if (own.record === null) {
      // It stays marked as hidden, so that it comes back once it is no longer left out.
      if (own.isHidden) this.places.add(placeOf(place));
      else this.step(makeStep('mask', place, 0));
    } else {
      const seen = await this.same(own.record, place, [is, was]);
      if (seen !== null) this.step(makeStep('mask', place, own.record.ino, seen));
    }
  }

  /** Leaves a directory out if nothing in it would be visible. */
  private leaveOutDir({ place, was, is }: TemplatePath): void {
    const { view, change } = this.parts;
    if (this.ownAt(place) !== null || !this.isThere(place) || hasOwnName(view, is!.ino)) return;
    for (const { name } of entriesOf(change.to, is!.ino)) {
      const isGone = view.name(is!.ino, name)?.ino === 0;
      if (!isGone && !this.left.has(placeOf({ dir: is!.ino, name }))) return;
    }
    this.leaveOutPlace(place, was);
  }

  private leaveOutPlace(place: DirEntryRef, was: InodeRecord | null): void {
    this.places.add(placeOf(place));
    this.left.add(placeOf(place));
    if (was === null) this.before.push(makeStep('hide', place, 0));
    else this.steps.push(makeStep('mask', place, 0));
  }

  /** Shows what an earlier step left out and dpkg would unpack now. */
  private showAgain({ place }: PackagePath): void {
    if (this.places.has(placeOf(place)) || this.isOther(place)) return;
    const own = this.parts.view.name(place.dir, place.name);
    if (own !== null && isHidden(own)) this.step(makeStep('relink', place, 0));
  }

  private step(step: Step): void {
    this.steps.push(step);
    this.places.add(placeOf(step));
  }

  private ownAt({ dir, name }: DirEntryRef): OwnEntry | null {
    const { view } = this.parts;
    const own = view.name(dir, name);
    if (own === null) return null;
    return { record: own.ino === 0 ? null : view.inode(own.ino), isHidden: isHidden(own) };
  }

  private hasNames(dir: Ino): boolean {
    let has = this.dirsWithNames.get(dir);
    if (has === undefined) {
      has = !namesIn(this.parts.view, dir).next().done;
      this.dirsWithNames.set(dir, has);
    }
    return has;
  }

  /** True for what belongs to a package that stays the env's own. */
  private isOther(place: DirEntryRef): boolean {
    return this.parts.packages.isOwn(place);
  }

  private isThere({ dir }: DirEntryRef): boolean {
    return !isPrivateIno(dir) && this.reached.of(dir) === 'there';
  }

  /**
   * Compares the data of the env's file with the templates'. A former version of theirs counts too, if the env has not
   * written to the file.
   * @param place where the templates have the file
   */
  private same(
    own: InodeRecord,
    { dir, name }: DirEntryRef,
    sides: readonly (InodeRecord | null)[],
  ): Promise<Compared | null> {
    const { from } = this.parts.change;
    const ever = own.data === DATA_PRIVATE ? [] : from.everAt(dir, name);
    const templates = [...sides.filter((side) => side !== null), ...ever];
    return sameDataAs(own, this.tree.fileOf(own), templates).catch(() => null);
  }
}

/** The env's own entry under a name. */
interface OwnEntry {
  /** null: the env has removed the name, or byref has hidden it. */
  readonly record: InodeRecord | null;
  readonly isHidden: boolean;
}

const placeOf = ({ dir, name }: DirEntryRef): string => `${dir} ${name}`;

const isHidden = ({ ino, type }: DeltaName): boolean => ino === 0 && type === HIDDEN;

const hasAttributes = (record: InodeRecord, { mode, uid, gid }: WantedAttributes): boolean =>
  (record.mode & 0o7777) === mode && record.uid === uid && record.gid === gid;

/** Adjusts wanted attributes to a file: a symlink has an owner, but no mode. */
const wantedFor = ({ mode }: InodeRecord, wanted: WantedAttributes): WantedAttributes =>
  isLnk(mode) ? { ...wanted, mode: mode & 0o7777 } : wanted;

/** True for a file that only refers to the template's data, and has no bytes of its own. */
const isCopyOf = ({ data, object, target }: InodeRecord, is: InodeRecord): boolean =>
  data === is.data && object === is.object && target === is.target;

/** Returns the attributes that the env has changed as it has them, and all others as in the new version. */
function changedAttributes(own: InodeRecord, was: InodeRecord, is: InodeRecord): WantedAttributes {
  return {
    mode: (own.mode === was.mode || own.mode === is.mode ? is.mode : own.mode) & 0o7777,
    uid: own.uid === was.uid ? is.uid : own.uid,
    gid: own.gid === was.gid ? is.gid : own.gid,
  };
}
