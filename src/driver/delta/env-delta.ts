import { existsSync } from 'node:fs';
import path from 'node:path';
import { isDamage } from '../../base/damaged.ts';
import { EIO, ENOMEM, ENOSPC, EROFS } from '../../base/errno.ts';
import { failpoint } from '../../base/failpoints.ts';
import { type Ino, isPrivateIno, type Name } from '../../base/ids.ts';
import { DATA_PRIVATE, type InodeRecord } from '../../codec/inode-record.ts';
import { native } from '../../native/binding.ts';
import type { Change, Delta, DeltaEntry, DeltaName, DirEntryRef } from '../core/ports.ts';
import { Checkpointer } from './checkpointer.ts';
import { CopySyncer } from './copy-syncer.ts';
import type { EnvLock } from './env-lock.ts';
import { Flusher } from './flusher.ts';
import { NameState } from './generation.ts';
import { type Journal, type JournalFile, NO_DIR } from './journal.ts';
import { DISCARD_MARK } from './layout.ts';
import { bootNumber } from './name-tag.ts';
import { NameTags } from './name-tags.ts';
import type { OwnTable } from './paged-table.ts';
import type { PendingChanges } from './pending-changes.ts';
import type { PrivateFiles } from './private-files.ts';
import type { RecordWriter } from './record-writer.ts';
import type { RecoveryMarks } from './recovery-marks.ts';
import type { Room } from './room.ts';
import type { Need } from './segment.ts';
import type { TailBudget } from './tail-budget.ts';

/** A disk with fewer free bytes may soon be full. */
const LITTLE_SPACE = 256 * 2 ** 20;

/** Settings of a delta: when checkpoints run, and who hears of errors. */
export interface DeltaOptions {
  /** Called with errors that happen in the background: a failed checkpoint, damage. */
  readonly onError: (error: Error) => void;
  /** The time from a change to the checkpoint that includes it, in ms. */
  readonly checkpointMs: number;
  /** A checkpoint starts at once when memory holds this many names and inodes. */
  readonly checkpointRecords: number;
  /**
   * A checkpoint starts at once when the journal has this many bytes: with long attributes, few records are many
   * bytes.
   */
  readonly checkpointBytes: number;
  /** Limits the names and inodes in memory. */
  readonly tailBudget: TailBudget;
}

/** The parts that openDelta() puts together. */
export interface DeltaParts {
  readonly envDir: string;
  readonly lock: EnvLock;
  readonly journal: Journal;
  readonly room: Room;
  readonly pending: PendingChanges<OwnTable>;
  readonly marks: RecoveryMarks;
  readonly files: PrivateFiles;
  readonly writer: RecordWriter;
  readonly nextIno: number;
  readonly readOnly: string | null;
  /** True if the previous holder did not close the delta. */
  readonly wasCutShort: boolean;
}

/**
 * A delta of which the files on disk can be copied as of one moment: the link table, these bytes of the journal, and the private files that
 * both name. Changes go on: they go to the journal's end.
 */
export interface HeldDelta {
  readonly journal: readonly JournalFile[];
  /** Ends it. */
  readonly release: () => void;
}

/** One env's own changes, open for writing by this process; see src/driver/core/ports.ts. */
export class EnvDelta implements Delta, Change {
  readonly files: PrivateFiles;
  readonly wasCutShort: boolean;
  readonly foundSequence: number;
  readonly #options: DeltaOptions;
  readonly #lock: EnvLock;
  readonly #journal: Journal;
  readonly #pending: PendingChanges<OwnTable>;
  readonly #marks: RecoveryMarks;
  readonly #writer: RecordWriter;
  readonly #flusher = new Flusher(() => this.#flushPass());
  readonly #checkpointer: Checkpointer;
  readonly #copies: CopySyncer;
  readonly #tags: NameTags;
  #nextIno: number;
  #readOnly: string | null;
  #names: NameState[] = [];
  #inodes: (InodeRecord | Ino)[] = [];
  /** True while the change adds no name: such a change may still be made on a full disk. */
  #frees = true;
  #timer: NodeJS.Timeout | null = null;
  #background: Promise<void> = Promise.resolve();
  #removing: Promise<void> = Promise.resolve();
  readonly #envDir: string;
  #closed = false;
  /** True after a failed checkpoint. */
  #stuck = false;
  /** Called when changes should wait until a promise, which never rejects, is resolved: the journal has little room left. */
  onShort: (made: Promise<void>) => void = () => undefined;
  #isMakingRoom = false;
  /** True once it was looked how much space there is. */
  #hasLooked = false;

  constructor(parts: DeltaParts, options: DeltaOptions) {
    this.#options = options;
    this.files = parts.files;
    this.wasCutShort = parts.wasCutShort;
    this.foundSequence = parts.journal.sequence;
    this.#envDir = parts.envDir;
    this.#lock = parts.lock;
    this.#journal = parts.journal;
    this.#pending = parts.pending;
    this.#marks = parts.marks;
    this.#writer = parts.writer;
    this.#nextIno = parts.nextIno;
    this.#readOnly = parts.readOnly;
    this.#checkpointer = new Checkpointer({
      envDir: parts.envDir,
      pending: parts.pending,
      journal: parts.journal,
      room: parts.room,
      flush: () => this.flush(),
      nextIno: () => this.#nextIno,
      onMoved: (records) => {
        if (!this.#closed) this.#journal.setsAside(true);
        options.tailBudget.used -= records;
        this.#stuck = false;
      },
    });
    options.tailBudget.used += parts.pending.tail;
    this.#copies = new CopySyncer(this, parts.files, parts.marks);
    const boot = bootNumber(parts.journal.bootId);
    this.#tags = new NameTags(parts.envDir, boot, (ino) => this.#pending.inode(ino));
    this.files.attach({
      tags: this.#tags,
      syncNow: () => this.#journal.syncNow(),
      flushSoon: () => void this.flush(),
      quiesce: () => this.quiesce(),
      ownInodes: () => this.#pending.ownInodes(),
      orphans: this.#marks.orphans,
    });
    if (this.#checkpointer.needed && this.#readOnly === null) this.#scheduleCheckpoint();
  }

  get sequence(): number {
    return this.#journal.sequence;
  }

  /** Why nothing can be changed (damage, a journal that cannot be written), or null. */
  get readOnly(): string | null {
    return this.#readOnly;
  }

  // --- Reading ---

  name(dir: Ino, name: Name): DeltaName | null {
    return this.#pending.name(dir, name);
  }

  list(dir: Ino, after: number, max: number): readonly DeltaEntry[] {
    return this.#pending.list(dir, after, max);
  }

  hasNames(dir: Ino): boolean {
    return this.#pending.hasNames(dir);
  }

  inode(ino: Ino): InodeRecord | null {
    return this.#pending.inode(ino);
  }

  templateDirs(): Iterable<Ino> {
    return this.#pending.templateDirs();
  }

  namesOf(ino: Ino): readonly DirEntryRef[] {
    return [...this.#pending.allNames()].filter((state) => state.ino === ino);
  }

  /** Returns true if the journal, since the last checkpoint, says that there is no such inode any more. */
  wasCleared(ino: Ino): boolean {
    return this.#pending.active.inodes.get(ino) === null;
  }

  /** Returns inodes without a name, kept for programs that have them open. */
  orphans(): readonly Ino[] {
    return [...this.#marks.orphans];
  }

  /**
   * Gives out the next ino. Numbers never repeat: each checkpoint stores the next one, and the journal shows those
   * given since.
   */
  allocate(): Ino {
    return this.#nextIno++ as Ino;
  }

  /**
   * Makes sure no number below `ino` is given out any more: for a table that had given some out before its record
   * of that was lost.
   */
  skipTo(ino: Ino): void {
    this.#nextIno = Math.max(this.#nextIno, ino);
  }

  // --- Changes ---

  /** No await may come between begin() and commit(): there is one change at a time, and it is this object. */
  begin(): Change {
    this.#writer.begin();
    this.#names.length = 0;
    this.#inodes.length = 0;
    this.#frees = true;
    return this;
  }

  setName(dir: Ino, name: Name, ino: Ino | 0, type: number): void {
    this.#writer.setName(dir, name, ino, type);
    if (ino !== 0) this.#frees = false;
    this.#names.push(new NameState(dir, name, ino, type, true));
  }

  clearName(dir: Ino, name: Name): void {
    this.#writer.clearName(dir, name);
    this.#names.push(new NameState(dir, name, 0, 0, false));
  }

  setInode(record: InodeRecord): void {
    this.#writer.setInode(record);
    this.#inodes.push(record);
  }

  clearInode(ino: Ino): void {
    this.#writer.clearInode(ino);
    this.#inodes.push(ino);
  }

  commit(): number {
    if (this.#readOnly !== null) return -EROFS;
    if (this.#writer.count === 0) return 0;
    const clean = this.#journal.durable === this.#journal.sequence;
    const { tailBudget } = this.#options;
    if (!tailBudget.admits(this.#pending.tail, this.#frees)) return this.#stuck ? -ENOSPC : -ENOMEM;
    let failed: number;
    try {
      failed = this.#journal.append(this.#writer, this.#need);
      if (failed === -ENOSPC && this.files.reclaim()) {
        failed = this.#journal.append(this.#writer, this.#need);
      }
    } catch (error) {
      this.#fail(error as Error);
      return -EIO;
    }
    if (failed < 0) {
      this.#makeRoomIfShort();
      return failed;
    }
    // A crash here loses nothing: the change is in the journal, and not yet answered.
    failpoint('committed');
    this.#apply();
    this.#tags.committed(this.#journal.sequence, this.#names, this.#inodes, clean);
    this.#scheduleCheckpoint();
    return 0;
  }

  /** Says what the change would do on a full disk. */
  readonly #need = (): Need => {
    if (this.#frees) return 'frees';
    const isNew = (inode: InodeRecord | Ino): boolean =>
      typeof inode !== 'number' &&
      isPrivateIno(inode.ino) &&
      this.#pending.inode(inode.ino) === null;
    return this.#inodes.some(isNew) ? 'adds' : 'moves';
  };

  tagPrivate(record: InodeRecord, places: readonly DirEntryRef[], fd = -1, early = false): void {
    if (early) this.#tags.tagEarly(record, places, fd);
    else this.#tags.tag(record, places, this.#journal.sequence + 1, fd);
  }

  needsFlush(ino: Ino): boolean {
    return this.#tags.needsFlush(ino);
  }

  /**
   * Goes on from a process of this boot that was killed: nothing is lost, but what it did not flush is not on disk. The next flush puts it
   * there. Returns false if all must be flushed before anything else is done.
   * @param moved files that the journal gave another name
   */
  goOn(moved: readonly Ino[]): boolean {
    const recent = [...this.#pending.active.inodes.values()].filter((record) => record !== null);
    if (!this.#tags.takeOver(recent, this.#journal.sequence)) return false;
    const isPrivate = (ino: Ino): boolean => this.#pending.inode(ino)?.data === DATA_PRIVATE;
    if (recent.some(({ data }) => data === DATA_PRIVATE))
      this.files.takeOver(moved.filter(isPrivate));
    return true;
  }

  #apply(): void {
    const { active } = this.#pending;
    const { usage } = this.files;
    const { size } = active;
    for (const state of this.#names) active.setName(state);
    for (const inode of this.#inodes) {
      const cleared = typeof inode === 'number';
      const ino = cleared ? inode : inode.ino;
      const record = cleared ? null : inode;
      if (usage.isCounting && isPrivateIno(ino))
        usage.recorded(ino, this.#pending.inode(ino) !== null, !cleared);
      active.setInode(ino, record);
      this.#marks.update(ino, record);
    }
    this.#options.tailBudget.used += active.size - size;
  }

  // --- Durability ---

  /** True while something committed, or a private file's directory entry, is not known to be on disk. */
  get dirty(): boolean {
    return this.#journal.durable < this.#journal.sequence || this.files.entriesDirty;
  }

  get isFlushing(): boolean {
    return this.#flusher.isRunning;
  }

  flush(): Promise<number> {
    if (this.dirty) return this.#flusher.run();
    // Everything is on disk that must be before private files are removed.
    if (this.files.awaitsRemovals) this.#removeUpTo(this.files.beginFlush());
    return Promise.resolve(0);
  }

  /**
   * Flushes, and waits until the removals that the flush allows are done. After that no private file changes its
   * ctime by itself, so whoever looks at one and comes back later can tell whether the env has written to it.
   */
  async quiesce(): Promise<number> {
    const failed = await this.flush();
    await this.#removing;
    return failed;
  }

  async #flushPass(): Promise<number> {
    const mark = this.files.beginFlush();
    // These come first: if a record that replaces a file were on disk before the new file's bytes, a power cut
    // would leave the file empty.
    const unwritten = await this.files.syncWriteOuts();
    if (unwritten < 0) return unwritten;
    const dir = this.#journal.openDir();
    // Nothing was tried yet, so the next flush may succeed.
    if (dir < 0 && dir !== NO_DIR) return dir;
    const opened = this.files.openEntries();
    if (opened < 0) {
      if (dir !== NO_DIR) native.close(dir);
      return opened;
    }
    const results = await Promise.all([
      this.#lock.sync(),
      this.files.syncEntries(),
      this.#journal.sync(dir),
    ]);
    if (dir !== NO_DIR) native.close(dir);
    const failed = results.find((result) => result < 0);
    if (failed !== undefined) {
      // After a failed fsync the kernel may take lost pages for clean: trying again would prove nothing.
      this.#fail(new Error(`fsync of the journal failed: errno ${-failed}`));
      return failed;
    }
    failpoint('flushed');
    const untagged = this.#tags.dropUpTo(this.#journal.durable);
    this.#removeUpTo(mark, untagged);
    return 0;
  }

  #removeUpTo(mark: number, after: Promise<unknown> = Promise.resolve()): void {
    this.#removing = Promise.all([this.#removing, after]).then(() => this.files.endFlush(mark));
  }

  /**
   * Does fsync for a private file: makes its bytes (`fd`), its record, and everything committed before durable.
   * Resolves to 0 or -errno.
   */
  async syncFile(ino: Ino, fd: number, dataOnly = false): Promise<number> {
    const failed = await this.#copies.syncOne(ino, fd, dataOnly);
    return failed < 0 ? failed : this.flush();
  }

  // --- Checkpoints ---

  /** Called after each commit, and once after a recovery that replayed a journal. */
  #scheduleCheckpoint(): void {
    const { checkpointRecords, checkpointBytes, checkpointMs } = this.#options;
    const full =
      this.#pending.active.size >= checkpointRecords ||
      this.#journal.activeBytes >= checkpointBytes ||
      this.#lacksTable();
    const now = full && !this.#checkpointer.running && !this.#stuck;
    if (now) void this.#inBackground(() => this.#checkpointer.run());
    this.#makeRoomIfShort();
    if (this.#timer !== null || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#inBackground(() => this.checkpoint());
    }, checkpointMs);
    this.#timer.unref();
  }

  /**
   * Looks, at the first change, how much space there is. If it is little, some is set aside at once. Returns true if a table is, too,
   * to be made at once: a full disk has no space for a new one.
   */
  #lacksTable(): boolean {
    if (this.#hasLooked) return false;
    this.#hasLooked = true;
    const space = { bsize: 0, blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0 };
    if (this.files.space(space) !== 0 || space.bfree * space.bsize > LITTLE_SPACE) return false;
    this.#journal.setsAside(true);
    return this.#pending.table === null;
  }

  /** Makes a checkpoint if the disk has no space for the journal to grow, so that it can go on in another segment. */
  #makeRoomIfShort(): void {
    const isHelped = this.#stuck || this.#isMakingRoom || this.#closed;
    if (!this.#journal.isShort || isHelped) return;
    this.#isMakingRoom = true;
    const made = this.#inBackground(() =>
      this.checkpoint().finally(() => {
        this.#isMakingRoom = false;
      }),
    );
    this.onShort(made);
  }

  /** Does something that nobody waits for. The promise that it returns never rejects. */
  #inBackground(work: () => Promise<void>): Promise<void> {
    const done = work().catch((error: unknown) => {
      // Changes stay in the journal. More of them could not be moved either, and may rest on rows that are lost.
      if (isDamage(error)) {
        this.#fail(error as Error);
        return;
      }
      this.#options.onError(error as Error);
      this.#stuck = true;
      if (this.#readOnly === null && this.#checkpointer.needed) this.#scheduleCheckpoint();
    });
    this.#background = Promise.all([this.#background, done]).then(() => {});
    return done;
  }

  /**
   * Syncs copies and moves all changes into the link table. Rejects with the reason if it fails; nothing is lost
   * then.
   */
  async checkpoint(): Promise<void> {
    if (this.#readOnly !== null) return;
    await this.#copies.syncAll();
    if (this.#checkpointer.running) await this.#checkpointer.run();
    if (this.#checkpointer.needed) await this.#checkpointer.run();
  }

  /**
   * Keeps what a copy as of this moment needs until it is released: no checkpoint is made, and no private file removed. Nothing
   * is put on disk for it.
   * @throws Error if the delta is damaged, or closed
   */
  async hold(): Promise<HeldDelta> {
    const resume = await this.#checkpointer.pause();
    if (this.#readOnly !== null) {
      resume();
      throw new Error(this.#readOnly);
    }
    const keepNoMore = this.files.hold();
    const release = (): void => {
      keepNoMore();
      resume();
    };
    return { journal: this.#journal.files, release };
  }

  /** Forgets inodes without a name and removes their bytes. To be called when no program can have them open. */
  dropOrphans(): number {
    const orphans = this.orphans();
    if (orphans.length === 0) return 0;
    const change = this.begin();
    for (const ino of orphans) change.clearInode(ino);
    const failed = this.commit();
    if (failed < 0) return failed;
    for (const ino of orphans) this.files.removePrivate(ino);
    return 0;
  }

  /**
   * Makes a last checkpoint and releases the lock. A full or failing disk does not make it throw: what could not
   * be moved stays in the journal, is reported by onError, and is recovered at the next open.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#journal.setsAside(false);
    await this.#background;
    const clean = !this.#isDiscarded() && (await this.#lastCheckpoint());
    this.#readOnly ??= 'closed';
    await this.#flusher.idle();
    await this.#removing;
    this.#tags.close();
    if (clean) await this.#lock.forgetSegment();
    failpoint('segment-forgotten');
    this.#journal.close(clean);
    this.#options.tailBudget.used -= this.#pending.tail;
    await this.#pending.table?.close();
    this.files.shutdown();
    failpoint('closing');
    await this.#lock.release(clean);
  }

  /** True if the env is about to be destroyed. Should that fail, it opens as after a kill. */
  #isDiscarded(): boolean {
    return existsSync(path.join(this.#envDir, DISCARD_MARK));
  }

  async #lastCheckpoint(): Promise<boolean> {
    if (this.#readOnly !== null) return false;
    try {
      await this.checkpoint();
      const failed = await this.flush();
      if (failed < 0) return false;
      // Everything committed is durable, so every removed file may go.
      await this.#removing;
      await this.files.endFlush(Number.MAX_SAFE_INTEGER);
      return true;
    } catch (error) {
      this.#options.onError(error as Error);
      return false;
    }
  }

  #fail(error: Error): void {
    this.#readOnly ??= error.message;
    this.#options.onError(error);
  }
}
