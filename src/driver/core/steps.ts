/**
 * Makes the steps of a patch (codec/steps.ts) in one env. A step is left out, and counted, if the name has changed
 * since the step was planned. A step that was made before changes nothing, so a list can be repeated after a
 * crash.
 */
import { type Ino, isPrivateIno, type Name } from '../../base/ids.ts';
import { isDir, isReg, S_IFMT } from '../../base/mode.ts';
import {
  DATA_PRIVATE,
  FLAG_KEPT,
  FLAG_UNSYNCED,
  type InodeRecord,
} from '../../codec/inode-record.ts';
import { sameXattrs } from '../../codec/same-inode.ts';
import type { Compared, DirSteps, Step, StepAttributes } from '../../codec/steps.ts';
import { ctimeIsNewer, emptyBlobStat } from './blob-stat.ts';
import { withColdXattrs } from './cold-xattrs.ts';
import { type Core, stamp } from './core.ts';
import type { Inode } from './inode.ts';
import { reclaim } from './lookup.ts';
import { countAgain, isOwnElsewhere, namesToPin } from './names.ts';
import { inodesOpenForWriting } from './open-for-writing.ts';
import { withOwnAttributes } from './own-attributes.ts';
import { hasOwnName, namesIn } from './own-names.ts';
import type { DeltaName, DirEntryRef, LowerTree } from './ports.ts';

/** The `type` of a whiteout that a patch made, rather than the env. */
export const HIDDEN = 1;
/** Steps per change of the journal. */
const AT_ONCE = 256;

/** The result of a list of steps. */
export interface StepsOutcome {
  /** The result: 0, or -errno. Steps before the error were made, the others can be made later. */
  readonly error: number;
  /** Steps that were left out. */
  readonly left: number;
}

/**
 * Makes steps in the env, several in one change of the journal.
 * @param layers the lower tree that the env sees afterwards
 * @param touched receives the places that were changed
 */
export function makeSteps(
  core: Core,
  layers: LowerTree,
  steps: readonly Step[],
  touched: DirEntryRef[],
): StepsOutcome {
  const making = new Making(core, layers);
  let left = 0;
  for (const some of batches(steps)) {
    const made = some.filter((step) => making.make(step));
    left += some.length - made.length - making.done;
    for (const { dir, name } of made) making.touched.push({ dir, name });
    const error = making.commit();
    if (error < 0) return { error, left };
    touched.push(...making.touched.splice(0));
  }
  return { error: 0, left };
}

/**
 * Orders the steps and splits them into changes of the journal. Files are placed after the other steps, under names
 * that those may have made free. Directories are released last, one by one, when nothing is left in them, those
 * inside a directory before it.
 */
function* batches(steps: readonly Step[]): Generator<readonly Step[]> {
  const placed = steps.filter(({ kind }) => kind === 'place');
  const others = steps.filter(({ kind }) => kind !== 'place' && kind !== 'release');
  for (const all of [others, placed]) {
    for (let at = 0; at < all.length; at += AT_ONCE) yield all.slice(at, at + AT_ONCE);
  }
  for (const each of steps) if (each.kind === 'release') yield [each];
}

const blobStat = emptyBlobStat();

/** Collects steps into one change of the journal, commits it, and updates the inodes in memory. */
class Making {
  private readonly core: Core;
  private readonly layers: LowerTree;
  /** Number of steps in this change that were already made before. */
  done = 0;
  /** Places that this change touches. */
  readonly touched: DirEntryRef[] = [];
  private open = false;
  private readonly counted = new Set<Ino>();
  /** Inodes that lose names in this change, with the link counts that they will have. */
  private readonly losing = new Map<Ino, { record: InodeRecord; inode: Inode | null }>();
  /** Template inodes that would be in two places once the templates' names show again: see elsewhere(). */
  private readonly conflicts = new Map<Ino, InodeRecord>();
  /** Names that this change takes from what they led to, as "directory name"; and files that it moves. */
  private readonly cleared = new Set<string>();
  private readonly movedInos = new Set<Ino>();
  /** Inodes that have a record of their own from now on. */
  private readonly kept = new Set<Inode>();
  /** Inodes that are the template's again. */
  private readonly back: { inode: Inode; record: InodeRecord; own: InodeRecord | null }[] = [];
  /** Inodes that programs have open, and that no name of the env leads to any more. */
  private readonly left: { inode: Inode; record: InodeRecord }[] = [];
  /** Hard-linked template files whose names are set in this change. */
  private readonly dressed = new Set<Ino>();
  /** Inodes in memory that get a record of the env's own in this change. */
  private readonly coming: Inode[] = [];
  /** Inodes whose private file is removed after the commit. */
  private readonly bytesGone: Ino[] = [];
  private readonly written: ReadonlySet<Ino>;

  constructor(core: Core, layers: LowerTree) {
    this.core = core;
    this.layers = layers;
    this.written = inodesOpenForWriting(core);
  }

  /** Adds the step to the change. Returns false if there is nothing to do, or if it cannot be done. */
  make(step: Step): boolean {
    switch (step.kind) {
      case 'keep':
        return this.keep(step);
      case 'hide':
        return this.hide(step);
      case 'relink':
        return this.relink(step);
      case 'place':
        return this.place(step);
      case 'dissolve':
        return this.dissolve(step);
      case 'release':
        return this.release(step);
      case 'share':
        return this.share(step);
      case 'put':
        return this.put(step);
      case 'mask':
        return this.mask(step);
      case 'dress':
        return this.dress(step);
    }
  }

  commit(): number {
    const { core } = this;
    this.done = 0;
    if (!this.open) return 0;
    for (const each of this.conflicts.values()) this.renumber(each);
    this.conflicts.clear();
    this.cleared.clear();
    this.movedInos.clear();
    this.dressed.clear();
    for (const { record, inode } of this.losing.values()) this.lose(record, inode);
    const error = core.tx.commit();
    this.open = false;
    this.counted.clear();
    const losing = [...this.losing.values()];
    const back = this.back.splice(0);
    const bytesGone = this.bytesGone.splice(0);
    const left = this.left.splice(0);
    const coming = this.coming.splice(0);
    const kept = [...this.kept];
    this.losing.clear();
    this.kept.clear();
    if (error < 0) return error;
    for (const inode of coming) inode.gone = null;
    for (const { inode, record, own } of back) {
      inode.inDelta = own !== null;
      if (own !== null) inode.record = withColdXattrs(own, core.delta);
      else inode.record = record.nlink === 0 ? record : core.inodes.counted(record);
      this.goOn(inode);
    }
    for (const { inode, record } of left) {
      inode.inDelta = false;
      inode.gone = core.layers.now;
      inode.record = record;
      if (inode.first !== null) inode.first.record = { ...inode.first.record, nlink: 0 };
      this.goOn(inode);
      void core.caches.expireAttributes(inode.node);
    }
    for (const ino of bytesGone) core.blobs.removePrivate(ino, true);
    // The kernel may have no reference to them.
    for (const inode of kept) reclaim(core, inode);
    for (const { record, inode } of losing) {
      if (inode !== null) reclaim(core, inode);
      else if (record.nlink === 0 && record.data === DATA_PRIVATE)
        core.blobs.removePrivate(record.ino);
    }
    return 0;
  }

  /**
   * Moves an inode to bytes that are the template's. Programs that have it open read the same bytes from their own
   * descriptor.
   */
  private goOn(inode: Inode): void {
    const { core } = this;
    inode.copied = null;
    core.fds.drop(inode);
    if (inode.backing === null || inode.backing.opens > 0) return;
    core.passthrough?.release(inode.backing.id);
    inode.backing = null;
  }

  private keep(step: Step): boolean {
    const { core } = this;
    const { dir, name, ino } = step;
    const own = core.delta.name(dir, name);
    if (own !== null) return this.keepTouched(step, own);
    const record = core.layers.lookup(dir, name);
    if (record === null || record.ino !== ino || isDir(record.mode)) return false;
    const inode = core.inodes.adopt(record, null);
    if (inode.inDelta) return false;
    this.begin();
    for (const place of namesToPin(core, inode)) {
      core.tx.setName(place.dir, place.name, inode.ino, record.mode & S_IFMT);
      this.count(place.dir, core.inodes.stampOf(place.dir));
    }
    core.tx.set(inode, { ...inode.record, flags: inode.record.flags | FLAG_KEPT });
    this.kept.add(inode);
    return true;
  }

  /** Keeps a file of which the env has set attributes, and which would otherwise follow the templates. */
  private keepTouched({ ino }: Step, own: DeltaName): boolean {
    const { core } = this;
    const record = own.ino === ino ? core.delta.inode(ino as Ino) : null;
    if (record === null || record.data === DATA_PRIVATE || isDir(record.mode)) return this.isDone();
    if ((record.flags & FLAG_KEPT) !== 0) return this.isDone();
    const inode = core.inodes.load(record.ino);
    if (inode === null) return false;
    this.begin();
    core.tx.set(inode, { ...inode.record, flags: inode.record.flags | FLAG_KEPT });
    this.kept.add(inode);
    return true;
  }

  private hide({ dir, name }: Step): boolean {
    const { core } = this;
    if (core.delta.name(dir, name) !== null) return this.isDone();
    if (core.layers.lookup(dir, name) !== null) return false;
    this.begin();
    core.tx.setName(dir, name, 0, HIDDEN);
    return true;
  }

  private relink(step: Step): boolean {
    const { core } = this;
    const { dir, name, ino } = step;
    const own = core.delta.name(dir, name);
    if (own === null) return this.isDone();
    if (own.ino !== ino) return false;
    if (ino === 0) {
      this.begin();
      this.clearName(dir, name);
      this.count(dir);
      return true;
    }
    const record = this.asCompared(ino, step);
    if (record === null) return false;
    const below = this.layers.lookup(dir, name);
    const isItself = below !== null && below.ino === ino;
    // The file that would show is the env's own under another name, or was removed by the env.
    if (below !== null && !isItself && isOwnElsewhere(core, step, below)) return false;
    if (isItself && record.nlink !== 1) return false;
    const used = this.usedAs(record, isItself, [below, core.layers.lookup(dir, name)]);
    if (used === null) return false;
    const elsewhere = this.elsewhere(step, ino);
    if (elsewhere === null) return false;
    this.begin();
    for (const other of elsewhere) this.conflicts.set(other.ino, other);
    this.clearName(dir, name);
    this.count(dir);
    if (isItself) {
      this.giveBack(below);
      if (record.data === DATA_PRIVATE) this.bytesGone.push(ino);
    } else this.letGo(record, used);
    return true;
  }

  /**
   * Returns the record with which an open template file continues once the env has no record of it: the file may
   * come back with a version, under the same number. UNUSED if nothing uses it; null if that cannot be done now.
   * @param isItself the templates have this very file under the name now
   * @param likes files of the templates that may have the same bytes
   * @param isCompared the first of them is known to have
   */
  private usedAs(
    record: InodeRecord,
    isItself: boolean,
    likes: readonly (InodeRecord | null)[],
    isCompared = false,
  ): InodeRecord | typeof UNUSED | null {
    const inode = isPrivateIno(record.ino) ? null : this.core.inodes.peek(record.ino);
    if (inode === null) return UNUSED;
    const { isOpen, first } = inode;
    // `blobStat` holds the private file's attributes. An empty file has nothing that can be mapped.
    const isMapped = inode.mayBeMapped && record.data === DATA_PRIVATE && blobStat.size > 0;
    if (!isOpen && first === null && !(isItself && isMapped)) return UNUSED;
    // Its bytes may still be written through a mapping; or both nodeids have readers, and there is no third
    // nodeid.
    if (isMapped || (isOpen && first !== null)) return null;
    if (record.data !== DATA_PRIVATE) return record;
    const has = (each: InodeRecord): boolean => this.hasBytesOf(record.ino, each);
    const like = isCompared ? likes[0] : likes.find((each) => each !== null && has(each));
    if (like === undefined || like === null) return null;
    return withBytes(record, like, blobStat);
  }

  /**
   * Returns true if a private file has the bytes of a template's file. Leaves the private file's attributes in
   * `blobStat`.
   */
  private hasBytesOf(ino: Ino, { mode, size, object }: InodeRecord): boolean {
    const { blobs } = this.core;
    if (!isReg(mode) || blobs.statPrivate(ino, blobStat) < 0 || blobStat.size !== size)
      return false;
    return size === 0 || (object !== '' && blobs.hasBytesOf(ino, object));
  }

  /**
   * Returns the inodes that other versions have under a name and that the env has elsewhere: as dpkg's status-old
   * is the earlier status file. Once the name is the templates' again, such a version would show one inode in two
   * places. Null if that cannot be resolved now.
   */
  private elsewhere({ dir, name }: DirEntryRef, own: Ino): InodeRecord[] | null {
    const { core } = this;
    const inos = new Set(core.layers.everAt(dir, name).map(({ ino }) => ino));
    inos.delete(own);
    const found: InodeRecord[] = [];
    for (const ino of inos) {
      const record = core.delta.inode(ino);
      if (record === null || isDir(record.mode) || record.nlink === 0) continue;
      if (record.data === DATA_PRIVATE || core.inodes.peek(ino)?.isOpen === true) return null;
      if (this.movedInos.has(ino)) return null;
      found.push(record);
    }
    return found;
  }

  /** Moves a file's remaining names to an inode with a number of the env's own, in the change. */
  private renumber(record: InodeRecord): void {
    const { core } = this;
    const places = core.delta
      .namesOf(record.ino)
      .filter(({ dir, name }) => !this.cleared.has(`${dir} ${name}`));
    if (places.length === 0) return;
    const ino = core.delta.allocate();
    for (const { dir, name } of places) {
      core.tx.setName(dir, name, ino, record.mode & S_IFMT);
      this.touched.push({ dir, name });
    }
    core.tx.setNew({ ...record, ino, nlink: places.length });
    this.losing.delete(record.ino);
    this.giveBack({ ...record, nlink: 0 });
  }

  private clearName(dir: Ino, name: Name): void {
    this.core.tx.clearName(dir, name);
    this.cleared.add(`${dir} ${name}`);
  }

  private letGo(record: InodeRecord, used: InodeRecord | typeof UNUSED): void {
    if (used !== UNUSED) {
      this.leaveOpen(record, used);
      return;
    }
    const template = isPrivateIno(record.ino) ? null : this.core.layers.inode(record.ino);
    // If the file loses several names in this change, the last of them is not its only one.
    const isOnly = record.nlink === 1 && !this.losing.has(record.ino);
    if (template === null || !isOnly) this.loseName(record);
    else {
      this.giveBack(template);
      if (record.data === DATA_PRIVATE) this.bytesGone.push(record.ino);
    }
  }

  /**
   * Takes a name from an open file, in the change. Programs that have it open keep it, as with any file that a
   * flip replaced.
   */
  private leaveOpen(record: InodeRecord, used: InodeRecord): void {
    const { ino, data } = record;
    const known = this.losing.get(ino)?.record ?? record;
    if (known.nlink > 1) {
      this.loseName(known);
      return;
    }
    this.losing.delete(ino);
    this.core.tx.forget(ino);
    this.left.push({ inode: this.core.inodes.peek(ino)!, record: { ...used, nlink: 0 } });
    if (data === DATA_PRIVATE) this.bytesGone.push(ino);
  }

  /**
   * Turns the env's copy into the template's file with the env's attributes: from then on it follows the templates
   * as if it was never copied.
   */
  private share(step: Step): boolean {
    const { core } = this;
    const { dir, name, ino } = step;
    const own = core.delta.name(dir, name);
    const like = core.layers.everFile(dir, name, step.like ?? (0 as Ino));
    if (own === null || own.ino === like?.ino) {
      const record = own === null ? null : core.delta.inode(own.ino as Ino);
      if (record === null || !isCopyOrKept(record)) return this.isDone();
    }
    if (own?.ino !== ino || ino === 0 || like === null) return false;
    const compared = this.asCompared(ino, step);
    const record = compared ?? this.withBytesOf(ino, like);
    // In a directory that another template hides from now on, nothing shows.
    const isHidden = core.inodes.isHidden(dir, this.layers);
    const is = isHidden ? null : this.layers.lookup(dir, name);
    if (record === null || !isCopyOrKept(record) || (is !== null && isDir(is.mode))) return false;
    if (record.nlink !== 1 || (is !== null && is.nlink !== 1))
      return this.shareLinked(step, record, like, is, compared !== null);
    const isItself = is?.ino === ino;
    const isCopy = record.data === DATA_PRIVATE;
    if (is !== null && !isItself && isOwnElsewhere(core, step, is)) return false;
    const used = this.usedAs(record, isItself, [like], compared !== null);
    if (used === null) return false;
    const elsewhere = this.elsewhere(step, ino);
    if (elsewhere === null) return false;
    const kept = withBytes(record, like, isCopy ? blobStat : record);
    const next = is === null ? null : withOwnAttributes(like, kept, is, stamp(core));
    this.begin();
    for (const other of elsewhere) this.conflicts.set(other.ino, other);
    this.cleared.add(`${dir} ${name}`);
    if (next === null) this.clearName(dir, name);
    else core.tx.setName(dir, name, next.ino, next.mode & S_IFMT);
    if (isItself) {
      if (isCopy) this.bytesGone.push(ino);
      this.giveBack(is, next);
      return true;
    }
    if (next !== null) this.come(next);
    this.letGo(record, used);
    return true;
  }

  /** Does what share() does, for a file that has several names in the env or in the templates. */
  private shareLinked(
    step: Step,
    record: InodeRecord,
    like: InodeRecord,
    is: InodeRecord | null,
    isCompared: boolean,
  ): boolean {
    if (record.ino === like.ino)
      return this.shareInPlace(record, like, is?.ino === record.ino, isCompared);
    // Links the name to the template's file again, as when dpkg has unpacked the version.
    if (record.nlink !== 1 || is === null || is.ino === like.ino) return false;
    if (isOwnElsewhere(this.core, step, is) || this.dressed.has(is.ino)) return false;
    const next = withOwnAttributes(like, withBytes(record, like, like), is, stamp(this.core));
    this.begin();
    this.dressed.add(is.ino);
    if (next !== null) this.setDressed(step, next);
    else {
      this.clearName(step.dir, step.name);
      this.count(step.dir);
      this.loseName(record);
    }
    return true;
  }

  /** Shares the bytes but leaves the names the env's: at a flip, all of them follow (follow.ts). */
  private shareInPlace(
    record: InodeRecord,
    like: InodeRecord,
    isItself: boolean,
    isCompared: boolean,
  ): boolean {
    const used = this.usedAs(record, isItself, [like], isCompared);
    if (used === null) return false;
    const isCopy = record.data === DATA_PRIVATE;
    const shared = withBytes(record, like, isCopy ? blobStat : record);
    const own = { ...shared, flags: record.flags & ~(FLAG_KEPT | FLAG_UNSYNCED) };
    this.begin();
    if (isCopy) this.bytesGone.push(record.ino);
    this.giveBack(like, own);
    return true;
  }

  /** Gives a template's file a record of the env's own, in the change. */
  private come(record: InodeRecord): void {
    const inode = this.core.inodes.peek(record.ino);
    if (inode === null) this.core.tx.setNew(record);
    else {
      this.core.tx.set(inode, record);
      this.coming.push(inode);
    }
  }

  private release(step: Step): boolean {
    const { dir, name, ino, ctime, ctimeNs } = step;
    const { core } = this;
    const own = core.delta.name(dir, name);
    const record = core.delta.inode(ino as Ino);
    if (record === null && own === null) return this.isDone();
    if (isPrivateIno(ino as Ino)) return own?.ino === ino && this.removeEmpty(step, record);
    // Looked up in the tree that the env sees now: the directory may be gone from the new one.
    const below = core.layers.lookup(dir, name);
    if (below?.ino !== ino || (own !== null && own.ino !== ino)) return false;
    if (record !== null && (record.ctime !== ctime || record.ctimeNs !== ctimeNs)) return false;
    if (hasOwnName(core.delta, below.ino)) return false;
    this.begin();
    if (own !== null) this.clearName(dir, name);
    this.count(dir);
    this.giveBack(below);
    return true;
  }

  /** Removes an empty directory of the env's own. */
  private removeEmpty({ dir, name, ino }: Step, record: InodeRecord | null): boolean {
    const { core } = this;
    if (record === null || core.delta.list(ino as Ino, 0, 1).length > 0) return false;
    this.begin();
    this.clearName(dir, name);
    this.count(dir);
    this.losing.set(record.ino, {
      record: { ...record, nlink: 0 },
      inode: core.inodes.peek(record.ino),
    });
    return true;
  }

  /** Checks everything in the directory before anything of it is changed. */
  private dissolve({ dir, name, ino, tree }: Step): boolean {
    const { core } = this;
    const own = core.delta.name(dir, name);
    if (own === null) return this.isDone();
    if (own.ino !== ino || tree === undefined || !this.isAsPlanned(tree)) return false;
    const below = this.layers.lookup(dir, name);
    if (
      (below?.ino ?? 0) !== tree.to ||
      (below !== null && isOwnElsewhere(core, { dir, name }, below))
    )
      return false;
    this.begin();
    this.clearName(dir, name);
    this.count(dir);
    this.empty(tree);
    return true;
  }

  private isAsPlanned({ ino, to, relink, move, dirs }: DirSteps): boolean {
    const { core } = this;
    const planned = new Map<Name, Ino>();
    for (const each of relink) {
      if (this.asCompared(each.ino, each) === null) return false;
      planned.set(each.name, each.ino);
    }
    for (const each of move) {
      if (this.conflicts.has(each.ino)) return false;
      planned.set(each.name, each.ino);
    }
    for (const { name, tree } of dirs) {
      if (!this.isAsPlanned(tree)) return false;
      planned.set(name, tree.ino);
    }
    if (to !== 0 && (core.inodes.peek(to)?.gone ?? null) !== null) return false;
    const names = [...namesIn(core.delta, ino)];
    return (
      names.length === planned.size && names.every((each) => planned.get(each.name) === each.ino)
    );
  }

  private empty({ ino, to, relink, move, dirs, remove, clear }: DirSteps): void {
    const { tx } = this.core;
    for (const each of relink) {
      this.clearName(ino, each.name);
      this.loseName(this.recordOf(each.ino)!);
    }
    for (const { name, tree } of dirs) {
      this.clearName(ino, name);
      this.empty(tree);
    }
    if (to !== 0) {
      this.count(to);
      const own = this.core.delta.inode(to);
      const below = this.layers.inode(to);
      // The env had removed the directory.
      if (own !== null && own.nlink === 0 && below !== null) this.giveBack(below);
      for (const name of clear) this.clear(to, name);
      for (const name of remove) {
        tx.setName(to, name, 0, 0);
        this.touched.push({ dir: to, name });
      }
      for (const { name, ino: moved, type } of move) {
        this.clearName(ino, name);
        tx.setName(to, name, moved, type);
        this.movedInos.add(moved);
        this.touched.push({ dir: to, name });
        if (isDir(type)) this.hang(moved, to);
      }
    }
    const record = this.recordOf(ino);
    if (record !== null) {
      this.losing.set(ino, { record: { ...record, nlink: 0 }, inode: this.core.inodes.peek(ino) });
    }
  }

  private clear(dir: Ino, name: Name): void {
    this.clearName(dir, name);
    this.touched.push({ dir, name });
  }

  private hang(ino: Ino, parent: Ino): void {
    const record = this.recordOf(ino);
    if (record === null) return;
    const inode = this.core.inodes.peek(ino);
    const hung = { ...record, parent };
    if (inode === null) this.core.tx.setNew(hung);
    else this.core.tx.set(inode, hung);
  }

  /**
   * Makes the inode the templates' own again, in the change, except for the attributes in `own` that the env has
   * set.
   */
  private giveBack(record: InodeRecord, own: InodeRecord | null = null): void {
    const inode = this.core.inodes.peek(record.ino);
    if (own === null) this.core.tx.forget(record.ino);
    else this.core.tx.setNew(own);
    if (inode !== null) this.back.push({ inode, record, own });
  }

  private loseName(record: InodeRecord): void {
    const inode = this.core.inodes.peek(record.ino);
    this.losing.set(record.ino, { record: { ...record, nlink: record.nlink - 1 }, inode });
  }

  private recordOf(ino: Ino): InodeRecord | null {
    const { inodes, delta } = this.core;
    return this.losing.get(ino)?.record ?? inodes.peek(ino)?.record ?? delta.inode(ino);
  }

  /**
   * Returns the record of an env's own file that is unchanged since it was compared, and not open for writing;
   * else null.
   */
  private asCompared(ino: Ino, compared: Compared): InodeRecord | null {
    const record = this.recordOf(ino);
    if (record === null || isDir(record.mode) || this.written.has(ino)) return null;
    return this.isAsCompared(record, compared) ? record : null;
  }

  /**
   * Returns the record of an env's copy that was touched since, but still has the template's bytes: recovery
   * touches copies, too. Null otherwise.
   */
  private withBytesOf(ino: Ino, like: InodeRecord): InodeRecord | null {
    const record = this.recordOf(ino);
    if (record === null || this.written.has(ino) || record.data !== DATA_PRIVATE) return null;
    return this.hasBytesOf(ino, like) ? record : null;
  }

  private place({ dir, name, ino }: Step): boolean {
    const { core } = this;
    const from = this.layers.inode(ino as Ino);
    if (from === null || !isReg(from.mode)) return false;
    const own = core.delta.name(dir, name);
    if (own === null ? core.layers.lookup(dir, name) !== null : own.ino !== 0) return this.isDone();
    const made = {
      ...from,
      ino: core.delta.allocate(),
      nlink: 1,
      flags: from.flags & ~FLAG_UNSYNCED,
    };
    this.begin();
    core.tx.setNew(made);
    core.tx.setName(dir, name, made.ino, made.mode & S_IFMT);
    return true;
  }

  private put(step: Step): boolean {
    const { dir, name, ino, source, attributes } = step;
    const { core, layers } = this;
    const from = source === undefined ? null : layers.inode(source);
    if (from === null || isDir(from.mode)) return false;
    const like = { ...from, ...withAttributes(from, attributes) };
    const own = core.delta.name(dir, name);
    if ((own?.ino ?? 0) !== ino) return this.isLike(own?.ino ?? 0, like) ? this.isDone() : false;
    if (own === null && layers.lookup(dir, name) !== null) return false;
    const record = ino === 0 ? null : this.asCompared(ino, step);
    if (ino !== 0 && record === null) return false;
    this.begin();
    if (record !== null) this.loseName(record);
    this.setCopy(step, like);
    return true;
  }

  /** Makes a file of the env's own with the template's bytes, in the change. */
  private setCopy({ dir, name }: DirEntryRef, from: InodeRecord): void {
    const ino = this.core.delta.allocate();
    this.core.tx.setNew({ ...from, ino, nlink: 1, flags: from.flags & ~FLAG_UNSYNCED });
    this.core.tx.setName(dir, name, ino, from.mode & S_IFMT);
    this.cleared.add(`${dir} ${name}`);
  }

  private mask(step: Step): boolean {
    const { dir, name, ino } = step;
    const { core } = this;
    const own = core.delta.name(dir, name);
    if (own?.ino === 0 && own.type === HIDDEN) return this.isDone();
    if ((own?.ino ?? 0) !== ino) return false;
    const record = ino === 0 ? null : this.asCompared(ino, step);
    if (ino !== 0 && record === null) return false;
    const below = own === null ? core.layers.lookup(dir, name) : null;
    if (below !== null && isDir(below.mode) && hasOwnName(core.delta, below.ino)) return false;
    this.begin();
    if (record !== null) this.loseName(record);
    if (below !== null) this.leave(below);
    this.cleared.add(`${dir} ${name}`);
    core.tx.setName(dir, name, 0, HIDDEN);
    this.count(dir);
    return true;
  }

  /**
   * Takes a name from a template's file or directory that the kernel knows, in the change, as if the env had
   * removed it.
   */
  private leave({ ino }: InodeRecord): void {
    const inode = this.core.inodes.peek(ino);
    if (inode === null || inode.inDelta || inode.gone !== null) return;
    const record = this.core.tx.record(inode);
    const nlink = isDir(record.mode) ? 0 : Math.max(0, record.nlink - 1);
    this.core.tx.setInMemory(inode, { ...record, nlink });
  }

  private dress(step: Step): boolean {
    const { dir, name, source, attributes } = step;
    const { core, layers } = this;
    const below = layers.lookup(dir, name);
    if (below === null || below.ino !== source || attributes === undefined) return false;
    const like = { ...below, ...withAttributes(below, attributes) };
    if (isDir(below.mode)) return this.dressDir(step, like);
    const { ino: own = 0 } = core.delta.name(dir, name) ?? {};
    if (own !== step.ino) return this.isLike(own, like) ? this.isDone() : false;
    const record = own === 0 ? null : this.asCompared(own, step);
    if (own !== 0 && record === null) return false;
    this.begin();
    if (own === source) this.setRecord({ ...record!, ...withAttributes(below, attributes) });
    else this.setDressed(step, like);
    return true;
  }

  /**
   * Gives the template's inode a record of the env's own, under all its names, in the change. If that inode is
   * taken, makes a file of the env's own instead.
   */
  private setDressed({ dir, name, ino }: Step, like: InodeRecord): void {
    const { core, layers } = this;
    const inode = core.inodes.peek(like.ino);
    // The env has the inode elsewhere, or programs have it open from when it was here before.
    const isTaken = core.delta.inode(like.ino) !== null || (inode?.gone ?? null) !== null;
    const places = isTaken ? [{ dir, name }] : layers.names(like.ino);
    const names = places.filter((place) => {
      const own = core.delta.name(place.dir, place.name);
      const isIt = place.dir === dir && place.name === name;
      return own === null || isIt || (own.ino !== 0 && own.ino === ino);
    });
    for (const place of names) {
      const own = core.delta.name(place.dir, place.name);
      const shown = own === null ? core.layers.lookup(place.dir, place.name) : null;
      if (own !== null && own.ino !== 0) this.loseName(this.recordOf(own.ino)!);
      else if (shown !== null && shown.ino !== like.ino) this.leave(shown);
      this.touched.push(place);
    }
    if (isTaken) {
      this.setCopy({ dir, name }, like);
      return;
    }
    for (const place of names) {
      core.tx.setName(place.dir, place.name, like.ino, like.mode & S_IFMT);
      this.cleared.add(`${place.dir} ${place.name}`);
    }
    this.setRecord({ ...like, nlink: names.length });
  }

  private dressDir({ ino, source }: Step, like: InodeRecord): boolean {
    const own = this.core.delta.inode(source!);
    if ((ino !== 0) !== (own !== null)) return own !== null ? this.isDone() : false;
    const { mode, uid, gid, xattrs } = like;
    const isSame = own?.mode === mode && own.uid === uid && own.gid === gid;
    if (own !== null && isSame && sameXattrs(own.xattrs, xattrs)) return this.isDone();
    this.begin();
    this.setRecord(own === null ? like : { ...own, mode, uid, gid, xattrs });
    return true;
  }

  /** Gives a template's inode a record of the env's own, in the change. */
  private setRecord(record: InodeRecord): void {
    const { core } = this;
    const inode = core.inodes.adopt(this.layers.inode(record.ino) ?? record, null);
    core.tx.set(inode, record);
    this.kept.add(inode);
  }

  /** Returns true if the env already has what the step would make. */
  private isLike(ino: Ino | 0, like: InodeRecord): boolean {
    const own = ino === 0 ? null : this.recordOf(ino);
    if (own === null) return false;
    const { mode, uid, gid, object, target } = like;
    const isSame = own.mode === mode && own.uid === uid && own.gid === gid;
    return isSame && own.object === object && own.target === target;
  }

  private isDone(): false {
    this.done++;
    return false;
  }

  private begin(): void {
    if (this.open) return;
    this.core.tx.begin();
    this.open = true;
  }

  private count(dir: Ino, right = 0): void {
    if (this.counted.has(dir)) return;
    this.counted.add(dir);
    countAgain(this.core, dir, right);
  }

  private lose(record: InodeRecord, inode: Inode | null): void {
    const { tx } = this.core;
    if (inode !== null) tx.set(inode, record);
    else if (record.nlink === 0) tx.forget(record.ino);
    else tx.setNew(record);
  }

  /** Returns true if the env has not changed the file since it was compared with the template's. */
  private isAsCompared(record: InodeRecord, { ctime, ctimeNs }: Compared): boolean {
    const isPrivate = record.data === DATA_PRIVATE && isReg(record.mode);
    if (isPrivate && this.core.blobs.statPrivate(record.ino, blobStat) < 0) return false;
    const shown = isPrivate && ctimeIsNewer(record, blobStat) ? blobStat : record;
    return shown.ctime === ctime && shown.ctimeNs === ctimeNs;
  }
}

type Times = Pick<InodeRecord, 'atime' | 'atimeNs' | 'mtime' | 'mtimeNs'>;

/** Returns the record with the bytes of a template's file in place of its own, and with these times. */
function withBytes(
  record: InodeRecord,
  { data, object, size }: InodeRecord,
  { atime, atimeNs, mtime, mtimeNs }: Times,
): InodeRecord {
  return { ...record, data, object, size, atime, atimeNs, mtime, mtimeNs };
}

type Attributes = Pick<InodeRecord, 'mode' | 'uid' | 'gid' | 'xattrs'>;

/** Returns the template's attributes, or the given ones in their place. */
function withAttributes(template: Attributes, other: StepAttributes | undefined): Attributes {
  const { mode, uid, gid, xattrs } = template;
  if (other === undefined) return { mode, uid, gid, xattrs };
  const own = other.xattrs?.map(([key, value]) => [key, Buffer.from(value, 'base64')] as const);
  return {
    mode: (mode & S_IFMT) | other.mode,
    uid: other.uid,
    gid: other.gid,
    xattrs: own === undefined ? xattrs : own.length === 0 ? null : new Map(own),
  };
}

/** Returns true for a copy of a template's bytes, and for a template's file that a patch kept as it was. */
const isCopyOrKept = ({ data, flags }: InodeRecord): boolean =>
  data === DATA_PRIVATE || (flags & FLAG_KEPT) !== 0;

/** Result of usedAs(): no program uses the file. */
const UNUSED = 'unused';
