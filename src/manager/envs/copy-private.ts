/** Copies the private files of an env, most of them before the moment of which they are to be the copy. */
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { EEXIST, ENOENT, ENOSPC } from '../../base/errno.ts';
import { O_CLOEXEC, O_CREAT, O_EXCL, O_NOATIME, O_RDONLY, O_RDWR } from '../../base/mode.ts';
import { FileCopier } from '../../driver/delta/copy-file.ts';
import { TAG_XATTR } from '../../driver/delta/name-tag.ts';
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  native,
  STAT,
  STAT_SLOTS,
  STATFS_SLOTS,
} from '../../native/binding.ts';
import { copyError } from './copy-tree.ts';

/** Files that are copied or looked at between two turns of the event loop. */
const SLICE = 64;
/** File systems (statfs f_type) that change the ctime at the first store to a page that is on disk: ext4, XFS, Btrfs. */
const TELL_STORES: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e]);

const stat = new Float64Array(STAT_SLOTS);
const time = new Float64Array(2);
const statfs = new Float64Array(STATFS_SLOTS);

/** What a file was when its copy was begun. Nothing changes a file's bytes without moving its ctime. */
export interface Seen {
  readonly ino: number;
  readonly ctime: number;
  readonly ctimeNs: number;
}

/** Returns what a file is now; null if it is not there. */
export function seenNow(file: string): Seen | null {
  if (native.statAt(AT_FDCWD, file, stat, AT_SYMLINK_NOFOLLOW) < 0) return null;
  return { ino: stat[STAT.ino]!, ctime: stat[STAT.ctime]!, ctimeNs: stat[STAT.ctimeNs]! };
}

/** Returns true for a file of which the caller has the bytes already. */
export type IsKnown = (name: string, seen: Seen) => boolean;

/** Clocks of files tick in steps: a file that was changed so shortly before is not known again. In ms. */
const TICK_MS = 1000;

/**
 * Recognises the files of an earlier copy that have not changed since, without reading them.
 * @param was returns what a file was for that copy @param trustedMs of that copy
 */
export const unchangedSince =
  (was: (name: string) => Seen | null | undefined, trustedMs: number | null): IsKnown =>
  (name, { ino, ctime, ctimeNs }) => {
    const before = was(name);
    const isSame = before?.ino === ino && before.ctime === ctime && before.ctimeNs === ctimeNs;
    return isSame && trustedMs !== null && ctime * 1000 + TICK_MS < trustedMs;
  };

/** The private files of one env, and their copies. */
export class PrivateCopies {
  /**
   * When all bytes were put on disk, in ms since the epoch: who finds a file later with a ctime from before that, and the same as in
   * seen(), has its bytes. null: the file system does not tell of stores through mappings.
   */
  trustedMs: number | null = null;
  readonly #from: string;
  readonly #to: string;
  readonly #signal: AbortSignal;
  readonly #isKnown: IsKnown;
  readonly #copier = new FileCopier();
  readonly #seen = new Map<string, Seen>();
  readonly #known = new Set<string>();
  #fromFd = -1;
  #toFd = -1;

  /**
   * @param from the directory, which need not exist @param to made if `from` exists
   * @param signal ends the work
   * @param isKnown of such a file the copy has size and times, and a hole
   */
  constructor(from: string, to: string, signal: AbortSignal, isKnown: IsKnown = () => false) {
    this.#from = from;
    this.#to = to;
    this.#signal = signal;
    this.#isKnown = isKnown;
  }

  /** What each file was of which there is a copy. */
  get seen(): ReadonlyMap<string, Seen> {
    return this.#seen;
  }

  /** The names of files that were known, so that their copies are without bytes. */
  get known(): ReadonlySet<string> {
    return this.#known;
  }

  /**
   * Copies what nobody has changed for a moment, while the env goes on. Less is then left to be done at the moment that counts.
   *
   * Everything is put on disk first: from then on a store through a mapping, too, moves the ctime. So a file whose ctime is from before is copied,
   * and if its ctime is the same later, the copy is still right.
   */
  async ahead(): Promise<void> {
    if (!this.#open()) return;
    const { sec, ns } = now();
    if (!this.#tellsStores()) return;
    const trustedMs = Date.now();
    if ((await native.syncfsAsync(this.#fromFd)) < 0) return;
    this.trustedMs = trustedMs;
    await this.#each(readdirSync(this.#from), (name) => {
      const seen = this.#look(name);
      if (seen === null || seen.ctime > sec || (seen.ctime === sec && seen.ctimeNs >= ns)) return;
      return this.#copy(name, seen);
    });
  }

  /**
   * Copies what there is now, and is not copied as it is; removes copies of what is gone. Nothing may be removed meanwhile.
   * @param isClosed nobody has any of the files open or mapped
   */
  async rest(isClosed = false): Promise<void> {
    if (!this.#open()) return;
    if (isClosed && this.#tellsStores()) this.trustedMs = Date.now();
    const names = readdirSync(this.#from);
    await this.#each(names, (name) => {
      const seen = this.#look(name);
      const before = this.#seen.get(name);
      const isCopied =
        before !== undefined &&
        before.ino === seen?.ino &&
        before.ctime === seen.ctime &&
        before.ctimeNs === seen.ctimeNs;
      return isCopied || seen === null ? undefined : this.#copy(name, seen);
    });
    const there = new Set(names);
    for (const name of this.#seen.keys()) {
      if (there.has(name)) continue;
      native.unlinkAt(this.#toFd, name, 0);
      this.#seen.delete(name);
      this.#known.delete(name);
    }
  }

  #tellsStores(): boolean {
    return native.statfsFd(this.#fromFd, statfs) >= 0 && TELL_STORES.has(statfs[6]!);
  }

  close(): void {
    if (this.#fromFd >= 0) native.close(this.#fromFd);
    if (this.#toFd >= 0) native.close(this.#toFd);
    this.#fromFd = -1;
    this.#toFd = -1;
  }

  /** Returns false if there are no private files. */
  #open(): boolean {
    if (this.#fromFd >= 0) return true;
    this.#fromFd = native.openAt(AT_FDCWD, this.#from, O_RDONLY | O_CLOEXEC, 0);
    if (this.#fromFd === -ENOENT) return false;
    this.#check(this.#fromFd);
    mkdirSync(this.#to, { mode: 0o700 });
    this.#toFd = this.#check(native.openAt(AT_FDCWD, this.#to, O_RDONLY | O_CLOEXEC, 0));
    return true;
  }

  async #each(
    names: readonly string[],
    act: (name: string) => Promise<void> | undefined,
  ): Promise<void> {
    for (const [i, name] of names.entries()) {
      if (i % SLICE === 0) await nextTurn();
      if (this.#signal.aborted) throw copyError('the env', 'it was interrupted');
      const later = act(name);
      if (later !== undefined) await later;
    }
  }

  /** Returns null if the file is gone. */
  #look(name: string): Seen | null {
    const failed = native.statAt(this.#fromFd, name, stat, AT_SYMLINK_NOFOLLOW);
    if (failed === -ENOENT) return null;
    this.#check(failed);
    return { ino: stat[STAT.ino]!, ctime: stat[STAT.ctime]!, ctimeNs: stat[STAT.ctimeNs]! };
  }

  /** Makes the copy anew. Returns a promise only if it takes long. @param seen what `stat` holds */
  #copy(name: string, seen: Seen): Promise<void> | undefined {
    const [size, atime, atimeNs] = [stat[STAT.size]!, stat[STAT.atime]!, stat[STAT.atimeNs]!];
    const [mtime, mtimeNs] = [stat[STAT.mtime]!, stat[STAT.mtimeNs]!];
    // A copy is no access that the env's times tell of.
    const from = native.openAt(this.#fromFd, name, O_RDONLY | O_NOATIME | O_CLOEXEC, 0);
    if (from === -ENOENT) return undefined;
    this.#check(from);
    const to = this.#create(name);
    const done = (result: number): void => {
      try {
        this.#check(result);
        this.#copyTag(name, to);
        this.#check(native.futimens(to, atime, atimeNs, mtime, mtimeNs));
        this.#seen.set(name, seen);
        if (isKnown) this.#known.add(name);
        else this.#known.delete(name);
      } finally {
        native.close(from);
        native.close(to);
      }
    };
    const isKnown = this.#isKnown(name, seen);
    const copy = (): number | Promise<number> =>
      isKnown
        ? native.ftruncate(to, size)
        : this.#copier.copy(from, to, size, () => this.#signal.aborted);
    const result = to < 0 ? to : copy();
    if (typeof result !== 'number') return result.then(done);
    done(result);
    return undefined;
  }

  #create(name: string): number {
    const flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
    const fd = native.openAt(this.#toFd, name, flags, 0o600);
    if (fd !== -EEXIST) return fd;
    native.unlinkAt(this.#toFd, name, 0);
    return native.openAt(this.#toFd, name, flags, 0o600);
  }

  /** A name tag is of use until the journal's record of it is known to be on disk. */
  #copyTag(name: string, to: number): void {
    const tag = native.getXattr(path.join(this.#from, name), TAG_XATTR);
    if (typeof tag !== 'number') this.#check(native.setXattrFd(to, TAG_XATTR, tag, tag.length));
  }

  #check(result: number): number {
    if (result >= 0) return result;
    if (this.#signal.aborted) throw copyError('the env', 'it was interrupted');
    throw copyError('the env', result === -ENOSPC ? 'No space left on device' : `errno ${-result}`);
  }
}

/** The clock that files are stamped with. */
function now(): { sec: number; ns: number } {
  native.clock(time);
  return { sec: time[0]!, ns: time[1]! };
}
