/**
 * A flip takes an env from the versions it sees to others, while programs use it.
 *
 * Each name leads to the old file or to the new one at every moment, and a path that exists in both versions is
 * always found, because the env goes in three steps, and the kernel is told after each of them:
 *
 * 1. new names are added to what is there;
 * 2. names that differ are replaced, while names that are to go stay;
 * 3. names that are gone are removed.
 *
 * So a symlink never leads to a name that is not there yet, or no longer there. Files that programs have open stay
 * as they were: their inodes are *gone*, that is, they belong to the old lower tree and have no name.
 */
import { failpoint } from '../../base/failpoints.ts';
import { type Ino, type Name, ROOT_INO } from '../../base/ids.ts';
import { isDir } from '../../base/mode.ts';
import type { InodeRecord } from '../../codec/inode-record.ts';
import { sameForDiff } from '../../codec/same-inode.ts';
import { withColdParts } from './cold-parts.ts';
import type { Core } from './core.ts';
import {
  type Followed,
  type FollowedName,
  follow,
  followAll,
  leftAt,
  touchedOnly,
} from './follow.ts';
import type { Inode } from './inode.ts';
import { keepDirs } from './keep-dirs.ts';
import { entriesOf } from './lower-entries.ts';
import { LOOKED_UP_MAX, namesIn } from './own-names.ts';
import type { ChangedDir, DeltaName, DirEntryRef } from './ports.ts';
import { ReachedDirs } from './reached-dirs.ts';
import { RECENT_FLIP_MS, RecentFlip } from './recent-flip.ts';
import { act, type EnvAction, type EnvActionResult, releaseSaved } from './set-aside.ts';
import { type ChangeKind, type DiffEntry, kindOf, type TreeDiff } from './tree-diff.ts';

/** The outcome of a flip for one env, counted in names. */
export interface FlipOutcome {
  /** Names that the env has of its own where the templates differ; they stay. */
  readonly own: number;
  /** Names that the env removed where the templates differ; they stay removed. */
  readonly removed: number;
  /** Directories that the new versions lack, but that stay because the env has something in them. */
  readonly keptDirs: number;
  /** The result of each action, in the order of the actions. */
  readonly acts: readonly EnvActionResult[];
}

/**
 * Takes the env over a tree diff, in three steps; resolves when the kernel has dropped everything stale.
 * @param acts changes to the env's own files, made together with the step that replaces the templates' files under
 * them
 */
export async function flip(
  core: Core,
  change: TreeDiff,
  acts: readonly EnvAction[],
): Promise<FlipOutcome> {
  const way = new Flip(core, change);
  await core.caches.drop(way.add());
  failpoint('flip-added');
  await core.caches.drop(way.change(acts));
  failpoint('flip-changed');
  await core.caches.drop(way.remove());
  return way.outcome();
}

class Flip {
  private readonly core: Core;
  private readonly way: TreeDiff;
  private own = 0;
  private removed = 0;
  private readonly kept: DirEntryRef[] = [];
  private acts: EnvActionResult[] = [];
  /** Names at which actions were made, and the directories of these names. */
  private readonly acted: DirEntryRef[] = [];
  private readonly actDirs = new Set<Ino>();
  /** Inodes that were the env's own because of their attributes, until they followed. */
  private readonly left: Inode[] = [];
  /** Files of other versions that followed at names which this flip does not change. */
  private strays: readonly FollowedName[] = [];
  /** The env's names of a directory, read by nameOf(). */
  private readonly ownNames = new Map<Ino, ReadonlyMap<Name, DeltaName>>();
  /** Names and inodes that the kernel must be told of after this step. */
  private names: DirEntryRef[] = [];
  private inodes: Ino[] = [];

  constructor(core: Core, way: TreeDiff) {
    this.core = core;
    this.way = way;
  }

  outcome(): FlipOutcome {
    const { own, removed, kept, acts } = this;
    return { own, removed, keptDirs: kept.length, acts };
  }

  add() {
    this.forgetNames();
    for (const place of releaseSaved(this.core, this.way.to)) this.tell(place);
    this.core.lower.show(this.way.adding, false);
    for (const change of this.concerning('added')) {
      if (this.isOwn(change)) continue;
      this.comeBackAt(change);
      this.tell(change);
    }
    return this.told([]);
  }

  change(acts: readonly EnvAction[]) {
    const touched: DirEntryRef[] = [];
    this.acts = acts.map((wanted) => act(this.core, this.way.to, wanted, touched));
    failpoint('flip-acted');
    for (const place of touched) {
      this.tell(place);
      this.actDirs.add(place.dir);
      this.acted.push(place);
    }
    // The diff is empty for an env that was not mounted: it already sees the new versions.
    // An added name may have what could not follow at an earlier flip, because a program had it open for writing.
    const kinds = ['added', 'replaced', 'removed'] as const;
    const followed = this.way.isEmpty ? this.followAll() : this.follow(kinds);
    for (const place of touched) {
      const change = this.way.find(place.dir, place.name);
      const own = change === undefined ? null : this.core.delta.name(place.dir, place.name);
      if (own !== null && own.ino === change!.is?.ino) followed.add(change!);
    }
    this.keepDirs();
    this.forgetNames();
    const reached = new ReachedDirs(this.way, this.core.delta);
    for (const kind of ['added', 'replaced', 'removed', 'kept'] as const) {
      for (const change of this.concerning(kind, reached)) this.count(change, reached, followed);
    }
    this.core.lower.show(this.way.changing, false);
    for (const change of this.concerning('replaced')) {
      if (this.isOwn(change) && !followed.has(change)) continue;
      const isKnown = this.isKnown(change);
      this.leave(change);
      this.comeBackAt(change);
      if (isKnown && !followed.has(change)) this.tell(change);
    }
    for (const stray of this.strays) this.leave(stray);
    return this.told([]);
  }

  remove() {
    this.follow(['removed']);
    // The env may have made something meanwhile in a directory that is to go.
    this.keepDirs();
    this.forgetNames();
    this.core.lower.show(this.way.to, true);
    failpoint('flip-shown');
    for (const change of this.concerning('removed')) {
      if (this.isOwn(change)) continue;
      if (this.isKnown(change)) this.tell(change);
      this.leave(change);
    }
    for (const stray of this.strays) this.leave(stray);
    const dirs = [...this.way.changedDirs()].filter(({ ino }) => this.knows(ino));
    for (const { ino } of dirs) this.refresh(ino);
    for (const ino of this.actDirs) this.refresh(ino);
    for (const place of this.kept) this.takeIn(place);
    for (const place of this.acted) this.recount(place);
    for (const inode of this.left) this.restore(inode);
    this.remember();
    return this.told(dirs);
  }

  /** Takes along the files of which the env has set only attributes. Returns the changes handled so. */
  private follow(kinds: readonly ChangeKind[]): Set<DiffEntry> {
    const { core, way } = this;
    this.forgetNames();
    const { lower, delta } = core;
    const own = { lower, delta: { name: this.nameOf, inode: (ino: Ino) => delta.inode(ino) } };
    const names: (FollowedName & DiffEntry)[] = [];
    for (const change of kinds.flatMap((kind) => this.concerning(kind))) {
      const was = delta.hasNames(change.dir) ? touchedOnly(own, change) : null;
      if (was === null) continue;
      // In a directory that the env has moved, its templates' names are there still.
      const isMoved = change.hidden === true && !core.inodes.isHidden(change.dir, way.to);
      const is = isMoved ? way.to.lookup(change.dir, change.name) : change.is;
      if (was.ino !== is?.ino) names.push({ ...change, was, is });
    }
    this.strays = [...leftAt(core, core.strays.values())].filter(
      ({ dir, name }) => way.find(dir, name) === undefined,
    );
    names.push(...this.strays);
    core.strays.clear();
    return this.tellFollowed(follow(core, way.to, names));
  }

  private followAll(): Set<DiffEntry> {
    return this.tellFollowed(followAll(this.core));
  }

  private tellFollowed(followed: Followed): Set<DiffEntry> {
    for (const place of followed.names) if (place.isKnown) this.tell(place);
    this.inodes.push(...followed.inodes);
    this.left.push(...followed.left);
    const came = followed.names.filter(({ isLeft }) => !isLeft);
    return new Set(came.flatMap(({ dir, name }) => this.way.find(dir, name) ?? []));
  }

  private told(dirs: readonly ChangedDir[]) {
    const stale = { names: this.names, dirs, inodes: this.inodes };
    this.names = [];
    this.inodes = [];
    return stale;
  }

  /**
   * Returns the changes of a kind that may concern the env. All of them; or, if that is less to look at, those of
   * inodes that the kernel knows, of directories in which the env has names of its own, and of directories that it
   * no longer has.
   */
  private concerning(kind: ChangeKind, reached: ReachedDirs | null = null): readonly DiffEntry[] {
    const { way } = this;
    const { inodes, delta } = this.core;
    if (way.size <= inodes.size) return way.of(kind);
    const found: DiffEntry[] = [];
    const dirs = new Set<Ino>();
    for (const [dir, names] of way.byDir) {
      const isLost = reached !== null && reached.of(dir) !== 'there';
      if (!isLost && !this.knows(dir) && !delta.hasNames(dir)) continue;
      dirs.add(dir);
      for (const change of names.values()) if (kindOf(change) === kind) found.push(change);
    }
    for (const { ino } of inodes.values()) {
      for (const change of way.ofInode(ino)) {
        if (!dirs.has(change.dir) && kindOf(change) === kind) found.push(change);
      }
    }
    return found;
  }

  /** Returns true if the name is the env's own: its own file, or a whiteout. */
  private isOwn({ dir, name }: DirEntryRef): boolean {
    return this.core.delta.hasNames(dir) && this.nameOf(dir, name) !== null;
  }

  /** Returns what the env has under a name. For a directory with many changed names, reads all of its names at once. */
  private readonly nameOf = (dir: Ino, name: Name): DeltaName | null => {
    const { delta } = this.core;
    if ((this.way.byDir.get(dir)?.size ?? 0) <= LOOKED_UP_MAX) return delta.name(dir, name);
    let known = this.ownNames.get(dir);
    if (known === undefined) {
      known = new Map([...namesIn(delta, dir)].map((each) => [each.name, each]));
      this.ownNames.set(dir, known);
    }
    return known.get(name) ?? null;
  };

  /** Drops cached names. Called before each uninterrupted part of the flip, and after the flip itself changed names. */
  private forgetNames(): void {
    this.ownNames.clear();
  }

  private count(change: DiffEntry, reached: ReachedDirs, followed: ReadonlySet<DiffEntry>): void {
    const { dir, name, was, is } = change;
    if (followed.has(change)) return;
    const own = this.nameOf(dir, name);
    const reach = own === null ? reached.of(dir) : null;
    if (reach === 'there' || (was !== null && is !== null && sameForDiff(was, is))) return;
    if (reach === 'removed' || own?.ino === 0) this.removed++;
    // A directory that the env keeps, or moved away and back, still follows the templates.
    else if (own === null || own.ino !== was?.ino || own.ino !== is?.ino) this.own++;
  }

  /** Notes the name for the kernel, which may have it (present or absent) if it knows the directory. */
  private tell(place: DirEntryRef): void {
    if (this.knows(place.dir)) this.names.push(place);
  }

  /** The kernel may have what is under the name now: it has no name of a file that it does not know. */
  private isKnown({ was }: DiffEntry): boolean {
    return was !== null && this.core.inodes.peek(was.ino) !== null;
  }

  private knows(ino: Ino): boolean {
    return ino === ROOT_INO || this.core.inodes.peek(ino) !== null;
  }

  private keepDirs(): void {
    const { goneDirs, from, to } = this.way;
    const dirs = new Set([...goneDirs.keys(), ...this.actDirs]);
    const kept = keepDirs(this.core, from, to, dirs);
    for (const place of kept) this.takeIn(place);
    this.kept.push(...kept);
  }

  /** Makes the inode that leaves a name *gone*, and with a directory everything below it. */
  private leave(change: DiffEntry): void {
    const { was } = change;
    if (was === null) return;
    const inode = this.core.inodes.peek(was.ino);
    const isKnown = inode !== null && inode.gone === null && (isDir(was.mode) || !inode.inDelta);
    if ((!isKnown && !isDir(was.mode)) || this.isElsewhere(change, was)) return;
    if (isKnown) {
      inode.gone = this.way.from;
      inode.record = { ...inode.record, nlink: 0 };
      if (inode.first !== null) inode.first.record = { ...inode.first.record, nlink: 0 };
      this.inodes.push(inode.ino);
    }
    if (!isDir(was.mode)) return;
    for (const below of this.way.byDir.get(was.ino)?.values() ?? []) {
      if (below.is === null && !this.isOwn(below)) this.leave(below);
    }
  }

  /**
   * Returns true if the inode can still be reached: in a directory that the env has moved, or keeps, where another
   * template has something else; or by another name of a hard link group that another template does not hide.
   */
  private isElsewhere({ dir, hidden }: DiffEntry, { ino, mode, nlink }: InodeRecord): boolean {
    const { inodes } = this.core;
    if (hidden === true && inodes.isReached(dir)) return true;
    return !isDir(mode) && nlink > 1 && inodes.isNamed(ino);
  }

  /** Does as comeBack(), unless the env has something else where the templates have the directory. */
  private comeBackAt({ dir, is }: DiffEntry): void {
    const { inodes, delta } = this.core;
    const isGone = is !== null && inodes.peek(is.ino)?.record.nlink === 0;
    if (!isGone || inodes.isHidden(dir, this.way.to)) return;
    if (new ReachedDirs(this.way, delta).of(dir) === 'there') this.comeBack(is);
  }

  /** Gives an inode in memory its name (back): a file, or a directory with all below it. */
  private comeBack(is: InodeRecord | null): void {
    if (is === null) return;
    const inode = this.core.inodes.peek(is.ino);
    if (inode === null || inode.record.nlink > 0) return;
    const left = inode.gone;
    inode.gone = null;
    inode.record = inode.inDelta ? this.ownRecord(inode, is) : this.core.inodes.counted(is);
    const { nlink } = inode.record;
    if (inode.first !== null) inode.first.record = { ...inode.first.record, nlink };
    this.inodes.push(inode.ino);
    // What the kernel knows below a directory that was gone comes from the version that the directory was in.
    if (left !== null && isDir(is.mode))
      for (const { name } of entriesOf(left, is.ino)) this.names.push({ dir: is.ino, name });
  }

  private ownRecord(inode: Inode, fallback: InodeRecord): InodeRecord {
    const { delta, inodes } = this.core;
    return withColdParts(inodes.recounted(delta.inode(inode.ino) ?? fallback), delta);
  }

  /**
   * Counts a file's links again: a file with several template names may have one more or one less than when it was
   * looked up.
   */
  private recount({ dir, name }: DirEntryRef): void {
    const { delta, inodes, lower } = this.core;
    const record = delta.name(dir, name) === null ? lower.lookup(dir, name) : null;
    const inode = record === null || record.nlink === 1 ? null : inodes.peek(record.ino);
    if (inode === null || isDir(record!.mode) || inode.inDelta || inode.gone !== null) return;
    inode.record = inodes.counted(record!);
    this.inodes.push(inode.ino);
  }

  /** Gives an inode the templates' record, if they still show it: its directory stays, or it has other names. */
  private restore(inode: Inode): void {
    if (inode.inDelta || inode.gone !== null) return;
    this.refresh(inode.ino);
    this.inodes.push(inode.ino);
  }

  /** Updates the record of an inode that the kernel knows, mostly a directory, to what the new lower tree and the env have. */
  private refresh(ino: Ino): void {
    const { inodes, lower } = this.core;
    const inode = inodes.peek(ino);
    if (inode === null || inode.record.nlink === 0) return;
    if (inode.inDelta && this.isCounted(inode))
      inode.record = { ...inode.record, stamp: this.way.to.stamp };
    else if (inode.inDelta) inode.record = this.ownRecord(inode, inode.record);
    else inode.record = inodes.counted(lower.inode(ino) ?? inode.record);
  }

  /**
   * Returns true if the directory's link count still holds, because no subdirectory came or went. Counting again
   * would read all of the env's names in it.
   */
  private isCounted({ ino, record }: Inode): boolean {
    if (record.stamp !== this.way.from.stamp || this.actDirs.has(ino)) return false;
    for (const { was, is } of this.way.byDir.get(ino)?.values() ?? []) {
      if ((was !== null && isDir(was.mode)) || (is !== null && isDir(is.mode))) return false;
    }
    return true;
  }

  /** Makes a directory in memory the env's own, even if it was of an older version until now. */
  private takeIn({ dir, name }: DirEntryRef): void {
    const { delta, inodes } = this.core;
    const own = delta.name(dir, name);
    const inode = own === null || own.ino === 0 ? null : inodes.peek(own.ino);
    if (inode === null) return;
    inode.inDelta = true;
    if (inode.gone === null) this.refresh(inode.ino);
    else this.comeBack(delta.inode(inode.ino));
  }

  private remember(): void {
    const { core } = this;
    if (this.way.of('removed').length === 0 || !core.caches.knowsWalkers) return;
    const recent = new RecentFlip(this.way);
    core.recent = recent;
    setTimeout(() => {
      if (core.recent === recent) core.recent = null;
    }, RECENT_FLIP_MS).unref();
  }
}
