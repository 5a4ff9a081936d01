import type { Ino, Name } from '../../../base/ids.ts';
import { isDir, isReg, S_IFMT } from '../../../base/mode.ts';
import { DATA_PRIVATE, FLAG_UNSYNCED, type InodeRecord } from '../../../codec/inode-record.ts';
import type { Compared } from '../../../codec/steps.ts';
import { ctimeIsNewer, emptyBlobStat } from '../blob-stat.ts';
import { withColdParts } from '../cold-parts.ts';
import type { Core } from '../core.ts';
import type { Inode } from '../inode.ts';
import { reclaim } from '../lookup.ts';
import { countAgain } from '../names.ts';
import { inodesOpenForWriting } from '../open-for-writing.ts';
import type { DirEntryRef, LowerTree } from '../ports.ts';
import { renumber } from '../renumber.ts';

/** Collects what steps do into one change of the journal, commits it, and updates the inodes in memory. */
export class StepChange {
  readonly core: Core;
  readonly lower: LowerTree;
  /** Number of steps in this change that were already made before. */
  done = 0;
  /** Places that this change touches. */
  readonly touched: DirEntryRef[] = [];
  private open = false;
  private readonly counted = new Set<Ino>();
  /** Inodes that lose names in this change, with the link counts that they will have. */
  readonly losing = new Map<Ino, { record: InodeRecord; inode: Inode | null }>();
  /** Template inodes that would be in two places once the templates' names show again: see otherVersionsElsewhere(). */
  readonly conflicts = new Map<Ino, InodeRecord>();
  /** Names that this change takes from what they led to, as "directory name"; and files that it moves. */
  readonly cleared = new Set<string>();
  readonly movedInos = new Set<Ino>();
  /** Inodes that have a record of their own from now on. */
  readonly kept = new Set<Inode>();
  /** Inodes that are the template's again. */
  private readonly back: { inode: Inode; record: InodeRecord; own: InodeRecord | null }[] = [];
  /** Inodes that programs have open, and that no name of the env leads to any more. */
  readonly left: { inode: Inode; record: InodeRecord }[] = [];
  /** Hard-linked template files whose names are set in this change, with the attributes that the env has set; null: none. */
  readonly dressed = new Map<Ino, InodeRecord | null>();
  /** Files of several names that have the template's bytes from this change on, with the records that they get. */
  readonly shared = new Map<Ino, InodeRecord>();
  /** Inodes in memory that get a record of the env's own in this change. */
  readonly coming: Inode[] = [];
  /** Inodes whose private file is removed after the commit. */
  readonly bytesGone: Ino[] = [];
  /** Inodes that are open for writing. */
  readonly written: ReadonlySet<Ino>;
  /** The attributes of the private file that was looked at last. */
  readonly blobStat = emptyBlobStat();

  constructor(core: Core, lower: LowerTree) {
    this.core = core;
    this.lower = lower;
    this.written = inodesOpenForWriting(core);
  }

  /**
   * Writes the open change to the journal, and starts anew.
   * @returns 0, or -errno: then nothing of the change was made
   */
  commit(): number {
    const { core } = this;
    this.done = 0;
    if (!this.open) return 0;
    for (const each of this.conflicts.values()) this.moveAway(each);
    this.conflicts.clear();
    this.cleared.clear();
    this.movedInos.clear();
    this.dressed.clear();
    this.shared.clear();
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
      if (own !== null) inode.record = withColdParts(own, core.delta);
      else inode.record = record.nlink === 0 ? record : core.inodes.counted(record);
      this.goOn(inode);
    }
    for (const { inode, record } of left) {
      inode.inDelta = false;
      inode.gone = core.lower.now;
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
    core.noteInode(inode);
  }

  /** Moves a file's remaining names to another inode, in the change; then the file is the template's again. */
  private moveAway(record: InodeRecord): void {
    const { core } = this;
    const places = core.delta
      .namesOf(record.ino)
      .filter(({ dir, name }) => !this.cleared.has(`${dir} ${name}`));
    if (places.length === 0) return;
    renumber(core, { ...record, nlink: places.length }, places);
    this.touched.push(...places);
    this.losing.delete(record.ino);
    this.giveBack({ ...record, nlink: 0 });
  }

  /** Takes what the env has under a name, in the change. */
  clearName(dir: Ino, name: Name): void {
    this.core.tx.clearName(dir, name);
    this.cleared.add(`${dir} ${name}`);
  }

  /** Gives a template's file a record of the env's own, in the change. */
  come(record: InodeRecord): void {
    const inode = this.core.inodes.peek(record.ino);
    if (inode === null) this.core.tx.setNew(record);
    else {
      this.core.tx.set(inode, record);
      this.coming.push(inode);
    }
  }

  /**
   * Makes the inode the templates' own again, in the change, except for the attributes in `own` that the env has
   * set.
   */
  giveBack(record: InodeRecord, own: InodeRecord | null = null): void {
    const inode = this.core.inodes.peek(record.ino);
    if (own === null) this.core.tx.forget(record.ino);
    else this.core.tx.setNew(own);
    if (inode !== null) this.back.push({ inode, record, own });
  }

  /** Takes one name from an inode, in the change. */
  loseName(record: InodeRecord): void {
    const inode = this.core.inodes.peek(record.ino);
    this.losing.set(record.ino, { record: { ...record, nlink: record.nlink - 1 }, inode });
  }

  /** Returns the record of an inode as it will be after the change; null if it is not the env's. */
  recordOf(ino: Ino): InodeRecord | null {
    const { inodes, delta } = this.core;
    return this.losing.get(ino)?.record ?? inodes.peek(ino)?.record ?? delta.inode(ino);
  }

  /**
   * Returns the record of an env's own file that is unchanged since it was compared, and not open for writing;
   * else null.
   */
  asCompared(ino: Ino, compared: Compared): InodeRecord | null {
    const record = this.recordOf(ino);
    if (record === null || isDir(record.mode) || this.written.has(ino)) return null;
    return this.isAsCompared(record, compared) ? record : null;
  }

  /**
   * Returns true if a private file has the bytes of a template's file. Leaves the private file's attributes in
   * `this.blobStat`.
   */
  hasBytesOf(ino: Ino, { mode, size, object }: InodeRecord): boolean {
    const { blobs } = this.core;
    if (!isReg(mode) || blobs.statPrivate(ino, this.blobStat) < 0 || this.blobStat.size !== size)
      return false;
    return size === 0 || (object !== '' && blobs.hasBytesOf(ino, object));
  }

  /**
   * Returns the record of an env's copy that was touched since, but still has the template's bytes: recovery
   * touches copies, too. Null otherwise.
   */
  withBytesOf(ino: Ino, like: InodeRecord): InodeRecord | null {
    const record = this.recordOf(ino);
    if (record === null || this.written.has(ino) || record.data !== DATA_PRIVATE) return null;
    return this.hasBytesOf(ino, like) ? record : null;
  }

  /** Makes a file of the env's own with the template's bytes, in the change. */
  setCopy({ dir, name }: DirEntryRef, from: InodeRecord): void {
    const ino = this.core.delta.allocate();
    this.core.tx.setNew({ ...from, ino, nlink: 1, flags: from.flags & ~FLAG_UNSYNCED });
    this.core.tx.setName(dir, name, ino, from.mode & S_IFMT);
    this.cleared.add(`${dir} ${name}`);
  }

  /**
   * Takes a name from a template's file or directory that the kernel knows, in the change, as if the env had
   * removed it.
   */
  leave({ ino }: InodeRecord): void {
    const inode = this.core.inodes.peek(ino);
    if (inode === null || inode.inDelta || inode.gone !== null) return;
    const record = this.core.tx.record(inode);
    const nlink = isDir(record.mode) ? 0 : Math.max(0, record.nlink - 1);
    this.core.tx.setInMemory(inode, { ...record, nlink });
  }

  /** Gives a template's inode a record of the env's own, in the change. */
  setRecord(record: InodeRecord): void {
    const { core } = this;
    const inode = core.inodes.adopt(this.lower.inode(record.ino) ?? record, null);
    core.tx.set(inode, record);
    this.kept.add(inode);
  }

  /**
   * Gives a template's directory a record of the env's own, in the change. Its links are counted again. Once it is set,
   * count() must not set it: the record that it sets is the one from before the change.
   */
  setDir(record: InodeRecord): void {
    this.counted.add(record.ino);
    this.setRecord({ ...record, stamp: 0 });
  }

  /** Returns true if the env already has what the step would make. */
  isLike(ino: Ino | 0, like: InodeRecord): boolean {
    const own = ino === 0 ? null : this.recordOf(ino);
    if (own === null) return false;
    const { mode, uid, gid, object, target } = like;
    const isSame = own.mode === mode && own.uid === uid && own.gid === gid;
    return isSame && own.object === object && own.target === target;
  }

  /** Counts a step that was made before. */
  isDone(): false {
    this.done++;
    return false;
  }

  /** Opens the change, if it is not open. */
  begin(): void {
    if (this.open) return;
    this.core.tx.begin();
    this.open = true;
  }

  /** Counts the links of a directory again, once per change. */
  count(dir: Ino, right = 0): void {
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
    if (isPrivate && this.core.blobs.statPrivate(record.ino, this.blobStat) < 0) return false;
    const shown = isPrivate && ctimeIsNewer(record, this.blobStat) ? this.blobStat : record;
    return shown.ctime === ctime && shown.ctimeNs === ctimeNs;
  }
}
