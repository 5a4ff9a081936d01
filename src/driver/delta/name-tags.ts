import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Ino, isPrivateIno } from '../../base/ids.ts';
import { isDir, isReg } from '../../base/mode.ts';
import { DATA_PRIVATE, FLAG_UNSYNCED, type InodeRecord } from '../../codec/inode-record.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, native, STAT, STAT_SLOTS } from '../../native/binding.ts';
import type { DirEntryRef } from '../core/ports.ts';
import type { NameState } from './generation.ts';
import { PRIVATE_DIR, privateName } from './layout.ts';
import {
  decodeTag,
  encodeTag,
  NOT_YET,
  TAG_BYTES_INLINE,
  TAG_BYTES_MAX,
  TAG_XATTR,
  type TaggedDir,
  type TaggedFile,
} from './name-tag.ts';

/** The most directories that one tag names: a file further down waits for the journal. */
const DIRS_MAX = 16;
/** Tags removed before other work gets a turn. */
const SLICE = 64;
/** Delay before the tag of a file that lost its names says so, in ms: most such files are gone by then. */
const NAMELESS_MS = 20;

/** A private file whose record may not yet be on disk in the journal. */
interface PendingTag {
  /** The change that its tag is for. */
  sequence: number;
  places: DirEntryRef[];
  /** The content of its tag; null while it has none. */
  tagged: TaggedFile | null;
  /** True if its tag is right, or if it needs none. */
  isSafe: boolean;
  /** The number of 512-byte blocks that its tag takes by itself. */
  blocks: number;
  /**
   * True if its tag is removed once the record is on disk, because it takes a block, or does not say which change
   * it is for.
   */
  isBrief: boolean;
  /** True if its tag says that it has no name. It stays for as long as that is so. */
  isNameless: boolean;
}

const bytes = Buffer.allocUnsafeSlow(TAG_BYTES_MAX);
const stat = new Float64Array(STAT_SLOTS);

/**
 * Keeps the name tags of one env's private files up to date (name-tag.ts says what they are for), from the moment
 * a file is made until the journal's record of it is on disk.
 */
export class NameTags {
  readonly #dir: string;
  readonly #boot: number;
  readonly #inode: (ino: Ino) => InodeRecord | null;
  /** Files that were made, and are in no record yet. */
  readonly #made = new Set<Ino>();
  readonly #pending = new Map<Ino, PendingTag>();
  /** The env's own directories that are not on disk yet, with the change that made or moved each. */
  readonly #dirs = new Map<Ino, number>();
  /** Files without a name whose tag does not say so yet. */
  readonly #nameless = new Set<Ino>();
  #timer: NodeJS.Timeout | null = null;
  /** The number of files whose tag takes blocks. */
  #large = 0;

  /** @param inode returns the delta's record of an inode, as of the last commit */
  constructor(envDir: string, boot: number, inode: (ino: Ino) => InodeRecord | null) {
    this.#dir = path.join(envDir, PRIVATE_DIR);
    this.#boot = boot;
    this.#inode = inode;
  }

  /**
   * Takes over the tags of a process of this boot that was killed.
   * @param recent records that may not be on disk, up to change `sequence`
   * @returns false, with nothing taken over, if a tag takes a block of the disk: that it is to be removed would be forgotten
   */
  takeOver(recent: readonly InodeRecord[], sequence: number): boolean {
    const taken = new Map<Ino, PendingTag>();
    for (const { ino, mode, data } of recent) {
      if (!isReg(mode) || data !== DATA_PRIVATE) continue;
      const found = native.getXattr(this.#path(ino), TAG_XATTR);
      if (typeof found !== 'number' && found.length > TAG_BYTES_INLINE) return false;
      const tag = typeof found === 'number' ? null : decodeTag(found);
      const entry = { ...newEntry(sequence, [...(tag?.places ?? [])]), isBrief: true };
      taken.set(ino, { ...entry, tagged: tag?.file ?? null, isSafe: tag !== null });
    }
    for (const [ino, entry] of taken) this.#pending.set(ino, entry);
    for (const { ino, mode } of recent)
      if (isDir(mode) && isPrivateIno(ino)) this.#dirs.set(ino, sequence);
    return true;
  }

  /** Notes that a private file was made; it has no tag yet. */
  made(ino: Ino): void {
    this.#forget(ino);
    this.#made.add(ino);
  }

  /** Notes that a private file is gone. */
  removed(ino: Ino): void {
    this.#forget(ino);
  }

  /**
   * Tags a new private file before bytes are copied into it, so that the tag is on disk with whichever of them get
   * there. The change that will name the file is not known yet.
   */
  tagEarly(record: InodeRecord, places: readonly DirEntryRef[], fd: number): void {
    if (!this.#made.has(record.ino)) return;
    const entry = newEntry(NOT_YET, [...places]);
    this.#pending.set(record.ino, entry);
    this.#write(record, entry, fd);
    entry.isBrief = true;
  }

  /** Tags a new private file before change `sequence`, which will name it, is committed. */
  tag(record: InodeRecord, places: readonly DirEntryRef[], sequence: number, fd: number): void {
    const { ino } = record;
    if (!this.#made.has(ino)) return;
    const early = this.#pending.get(ino);
    if (early !== undefined && saysAsMuch(early.tagged, record) && isSame(early.places, places)) {
      early.sequence = sequence;
      return;
    }
    const entry = early ?? newEntry(sequence, []);
    entry.sequence = sequence;
    entry.places = [...places];
    this.#pending.set(ino, entry);
    this.#write(record, entry, fd);
  }

  /**
   * Updates tags after change `sequence` was committed.
   * @param clean everything before that change is on disk
   */
  committed(
    sequence: number,
    names: readonly NameState[],
    inodes: readonly (InodeRecord | Ino)[],
    clean: boolean,
  ): void {
    for (const inode of inodes) {
      if (typeof inode === 'number') this.#forget(inode);
      else if (isDir(inode.mode)) this.#noteDir(inode.ino, sequence, names);
      else if (isReg(inode.mode) && inode.data === DATA_PRIVATE) {
        this.#noteFile(inode, sequence, names, clean);
      }
    }
  }

  #noteDir(ino: Ino, sequence: number, names: readonly NameState[]): void {
    if (isPrivateIno(ino) && names.some((state) => state.ino === ino)) {
      this.#dirs.set(ino, sequence);
    }
  }

  #noteFile(
    record: InodeRecord,
    sequence: number,
    names: readonly NameState[],
    clean: boolean,
  ): void {
    const { ino } = record;
    const isNew = this.#made.delete(ino);
    let entry = this.#pending.get(ino);
    if (entry === undefined) {
      if (!isNew) return;
      entry = newEntry(sequence, []);
      this.#pending.set(ino, entry);
    }
    const moved = movePlaces(entry.places, ino, names);
    // Without names of its own in the change, only its record leads to the file, and must then be on disk.
    if (isNew && entry.places.length === 0 && record.nlink > 0 && !clean) {
      entry.sequence = sequence;
      entry.isSafe = false;
      return;
    }
    if (!moved && saysAsMuch(entry.tagged, record)) return;
    entry.sequence = sequence;
    if (record.nlink > 0) this.#write(record, entry);
    else {
      // For a file without a name, nothing has to be found after a power cut.
      if (entry.tagged !== null && !entry.isNameless) this.#tellNamelessSoon(ino);
      entry.isSafe = true;
    }
  }

  #tellNamelessSoon(ino: Ino): void {
    this.#nameless.add(ino);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      for (const nameless of this.#nameless) {
        const entry = this.#pending.get(nameless);
        const record = this.#inode(nameless);
        if (entry === undefined || record === null || record.nlink > 0) continue;
        // What it takes is given back first: the new one takes nothing.
        this.#remove(nameless, entry);
        this.#write(record, entry);
      }
      this.#nameless.clear();
    }, NAMELESS_MS).unref();
  }

  /** Does nothing more by itself: the records may not be read when the delta is closed. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#nameless.clear();
  }

  #forget(ino: Ino): void {
    this.#made.delete(ino);
    this.#nameless.delete(ino);
    this.#dirs.delete(ino);
    const entry = this.#pending.get(ino);
    if (entry === undefined) return;
    if (entry.blocks > 0) this.#large--;
    this.#pending.delete(ino);
  }

  /**
   * Returns true if a program may get bytes of the file on disk without our knowing, and a power cut would lose
   * their name: the journal must be flushed before the file is handed to the kernel.
   */
  needsFlush(ino: Ino): boolean {
    const entry = this.#pending.get(ino);
    return entry !== undefined && !entry.isSafe;
  }

  /** Returns the number of 512-byte blocks that the file takes for its tag alone. */
  blocksOf(ino: Ino): number {
    return this.#large === 0 ? 0 : (this.#pending.get(ino)?.blocks ?? 0);
  }

  /** Drops tags that are no longer needed, because all changes up to `sequence` are on disk. */
  async dropUpTo(sequence: number): Promise<void> {
    for (const [dir, made] of this.#dirs) if (made <= sequence) this.#dirs.delete(dir);
    const brief: Ino[] = [];
    for (const [ino, entry] of this.#pending) {
      if (entry.sequence === NOT_YET || entry.sequence > sequence || entry.isNameless) continue;
      if (entry.isBrief) brief.push(ino);
      else this.#pending.delete(ino);
    }
    for (const [i, ino] of brief.entries()) {
      if (i % SLICE === SLICE - 1) await nextTurn();
      const entry = this.#pending.get(ino);
      if (entry === undefined || entry.sequence === NOT_YET || entry.sequence > sequence) continue;
      this.#remove(ino, entry);
      this.#pending.delete(ino);
    }
  }

  /**
   * Writes the tag of a file.
   * @param fd a descriptor on the file, or -1
   */
  #write(record: InodeRecord, entry: PendingTag, fd = -1): void {
    const { ino, mode, uid, gid, flags } = record;
    const isNameless = record.nlink === 0;
    entry.isNameless = isNameless;
    // That it has no name is all there is to say, so that it takes no block.
    const xattrs = isNameless ? null : record.xattrs;
    const object = (flags & FLAG_UNSYNCED) !== 0 && !isNameless ? record.object : '';
    const file = { mode, uid, gid, flags, object, xattrs };
    const dirs = this.#dirsOf(entry.places);
    const { sequence, places } = entry;
    const tag = dirs && { boot: this.#boot, sequence, file, places, dirs, isNameless };
    const length = tag === null ? 0 : encodeTag(tag, bytes);
    const isWritten = length > 0 && this.#set(ino, entry, length, fd);
    entry.isSafe = isWritten || isNameless;
    // A tag that is out of date must not be found.
    if (isWritten) entry.tagged = file;
    else this.#remove(ino, entry);
  }

  #set(ino: Ino, entry: PendingTag, length: number, fd: number): boolean {
    const isLong = length > TAG_BYTES_INLINE;
    entry.isBrief ||= isLong;
    if (!isLong && fd >= 0) return native.setXattrFd(fd, TAG_XATTR, bytes, length) === 0;
    const file = this.#path(ino);
    if (!isLong) return native.setXattr(file, TAG_XATTR, bytes, length) === 0;
    const before = blocksAt(file) - entry.blocks;
    if (native.setXattr(file, TAG_XATTR, bytes, length) < 0) return false;
    this.#setBlocks(entry, Math.max(0, blocksAt(file) - before));
    return true;
  }

  #remove(ino: Ino, entry: PendingTag): void {
    if (entry.tagged === null) return;
    entry.tagged = null;
    native.removeXattr(this.#path(ino), TAG_XATTR);
    this.#setBlocks(entry, 0);
  }

  #setBlocks(entry: PendingTag, blocks: number): void {
    this.#large += (blocks > 0 ? 1 : 0) - (entry.blocks > 0 ? 1 : 0);
    entry.blocks = blocks;
  }

  /**
   * Returns the directories on the way to the places that are not on disk yet, outermost first; null if a tag
   * cannot hold them.
   */
  #dirsOf(places: readonly DirEntryRef[]): readonly TaggedDir[] | null {
    if (this.#dirs.size === 0) return NO_DIRS;
    const dirs: TaggedDir[] = [];
    for (const place of places) {
      for (let at: Ino | 0 = place.dir; at !== 0 && this.#dirs.has(at); ) {
        const ino: Ino = at;
        if (dirs.some((dir) => dir.ino === ino)) break;
        const record = this.#inode(ino);
        if (record === null || record.xattrs !== null || dirs.length === DIRS_MAX) return null;
        const { mode, uid, gid, parent, name } = record;
        if (parent === 0 || name === '') return null;
        dirs.push({ ino, mode, uid, gid, dir: parent, name });
        at = parent;
      }
    }
    return dirs.reverse();
  }

  #path(ino: Ino): string {
    return `${this.#dir}/${privateName(ino)}`;
  }
}

const NO_DIRS: readonly TaggedDir[] = [];

const isSame = (a: readonly DirEntryRef[], b: readonly DirEntryRef[]): boolean =>
  a.length === b.length && a.every(({ dir, name }, i) => b[i]?.dir === dir && b[i].name === name);

const newEntry = (sequence: number, places: DirEntryRef[]): PendingTag => ({
  sequence,
  places,
  tagged: null,
  isSafe: false,
  blocks: 0,
  isBrief: false,
  isNameless: false,
});

/** Updates a file's places to what a change did to its names. Returns true if anything changed. */
function movePlaces(places: DirEntryRef[], ino: Ino, names: readonly NameState[]): boolean {
  let moved = false;
  for (const { dir, name, ino: to } of names) {
    const at = places.findIndex((place) => place.dir === dir && place.name === name);
    if (to === ino && at < 0) places.push({ dir, name });
    else if (to !== ino && at >= 0) places.splice(at, 1);
    else continue;
    moved = true;
  }
  return moved;
}

/** Returns true if a tag that was written for `file` still says everything about the record that a tag can say. */
function saysAsMuch(file: TaggedFile | null, record: InodeRecord): boolean {
  return (
    file !== null &&
    file.mode === record.mode &&
    file.uid === record.uid &&
    file.gid === record.gid &&
    file.xattrs === record.xattrs
  );
}

function blocksAt(file: string): number {
  const failed = native.statAt(AT_FDCWD, file, stat, AT_SYMLINK_NOFOLLOW);
  return failed < 0 ? 0 : stat[STAT.blocks]!;
}
