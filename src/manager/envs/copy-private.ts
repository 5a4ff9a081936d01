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
interface Seen {
  readonly ino: number;
  readonly ctime: number;
  readonly ctimeNs: number;
}

/** The private files of one env, and their copies. */
export class PrivateCopies {
  readonly #from: string;
  readonly #to: string;
  readonly #signal: AbortSignal;
  readonly #copier = new FileCopier();
  readonly #seen = new Map<string, Seen>();
  #fromFd = -1;
  #toFd = -1;

  /**
   * @param from the directory, which need not exist @param to made if `from` exists
   * @param signal ends the work
   */
  constructor(from: string, to: string, signal: AbortSignal) {
    this.#from = from;
    this.#to = to;
    this.#signal = signal;
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
    if (native.statfsFd(this.#fromFd, statfs) < 0 || !TELL_STORES.has(statfs[6]!)) return;
    if ((await native.syncfsAsync(this.#fromFd)) < 0) return;
    await this.#each(readdirSync(this.#from), (name) => {
      const seen = this.#look(name);
      if (seen === null || seen.ctime > sec || (seen.ctime === sec && seen.ctimeNs >= ns)) return;
      return this.#copy(name, seen);
    });
  }

  /** Copies what there is now, and is not copied as it is; removes copies of what is gone. Nothing may be removed meanwhile. */
  async rest(): Promise<void> {
    if (!this.#open()) return;
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
    for (const name of this.#seen.keys())
      if (!there.has(name)) native.unlinkAt(this.#toFd, name, 0);
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
      } finally {
        native.close(from);
        native.close(to);
      }
    };
    const result = to < 0 ? to : this.#copier.copy(from, to, size, () => this.#signal.aborted);
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
