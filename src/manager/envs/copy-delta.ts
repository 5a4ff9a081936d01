/** Copies what an env has of its own, for a clone of it. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ENOENT, ENOSPC } from '../../base/errno.ts';
import { failpoint } from '../../base/failpoints.ts';
import { O_CLOEXEC, O_CREAT, O_EXCL, O_RDONLY, O_RDWR } from '../../base/mode.ts';
import { FileCopier } from '../../driver/delta/copy-file.ts';
import {
  LINK_DIR,
  LOCK_FILE,
  PRIVATE_DIR,
  segmentNumber,
  VOLUMES_DIR,
} from '../../driver/delta/layout.ts';
import type { HeldEnv } from '../../ipc/protocol.ts';
import { AT_FDCWD, native, STAT, STAT_SLOTS } from '../../native/binding.ts';
import { syncFileSystem } from '../../native/sync-file-system.ts';
import { envDir } from '../../store/store.ts';
import { type IsKnown, PrivateCopies } from './copy-private.ts';
import { copyError, copyTree } from './copy-tree.ts';
import { MANAGED_NOTE } from './managed-files.ts';

/** The content of the lock of a delta that was closed properly: FORMAT-delta.md. */
const CLEAN = 'clean\n';
/** The link table: the only file of its directory that outlives its users. */
const TABLE = path.join(LINK_DIR, 'data.mdb');

const stat = new Float64Array(STAT_SLOTS);

/**
 * A copy of the changes of one env. Where the file system can share blocks (XFS, Btrfs), it takes none, and a file costs the same whatever
 * its size; else bytes are copied.
 */
export class DeltaCopy {
  readonly #from: string;
  readonly #to: string;
  readonly #signal: AbortSignal;
  readonly #volumes: boolean;
  readonly #files: PrivateCopies;
  readonly #copier = new FileCopier();

  /**
   * @param to the id of an env that has no directory yet
   * @param signal ends the work
   * @param isKnown as of PrivateCopies @param volumes false: without what is in volumes
   */
  constructor(
    root: string,
    from: number,
    to: number,
    signal: AbortSignal,
    isKnown?: IsKnown,
    volumes = true,
  ) {
    this.#from = envDir(root, from);
    this.#to = envDir(root, to);
    this.#signal = signal;
    this.#volumes = volumes;
    const dirs = [this.#from, this.#to].map((dir) => path.join(dir, PRIVATE_DIR));
    this.#files = new PrivateCopies(dirs[0]!, dirs[1]!, signal, isKnown);
  }

  /** The copies of private files. */
  get files(): Pick<PrivateCopies, 'seen' | 'known' | 'trustedMs'> {
    return this.#files;
  }

  /** Copies private files while the env goes on: finish() then has to copy only those that were changed since. */
  async ahead(): Promise<void> {
    this.#make();
    await this.#files.ahead();
    failpoint('clone-ahead');
  }

  /**
   * Copies what is left, while nothing changes. It is not on disk yet when this resolves.
   * @param held what there is of the journal; null: the env is closed, and its lock is held or nobody knows of it
   * @throws ByrefError 'noSpace', 'error'; then a part may be there
   */
  async finish(held: HeldEnv | null): Promise<void> {
    // An env that was never mounted has changed nothing.
    if (!existsSync(this.#from)) return;
    this.#make();
    await this.#copyFile(TABLE);
    for (const { name, length } of held?.journal ?? this.#segments())
      await this.#copyFile(name, length);
    failpoint('clone-journal');
    await this.#files.rest(held === null);
    const others = [...(this.#volumes ? [VOLUMES_DIR] : []), MANAGED_NOTE].filter((name) =>
      existsSync(path.join(this.#from, name)),
    );
    if (others.length === 0) return;
    const options = { cwd: this.#from, signal: this.#signal, unsynced: true };
    await copyTree('the env', ['--', ...others, this.#to], this.#to, options);
  }

  /** Says that the copy is one of an env that was closed properly. */
  markClean(): void {
    if (existsSync(this.#to)) writeFileSync(path.join(this.#to, LOCK_FILE), CLEAN, { mode: 0o600 });
  }

  /** Puts the copy, and all else on its file system, on disk. @throws ByrefError 'noSpace', 'error' */
  async sync(): Promise<void> {
    if (!existsSync(this.#to)) return;
    this.#check(await syncFileSystem(this.#to));
  }

  /** Lets go of descriptors. */
  close(): void {
    this.#files.close();
  }

  #make(): void {
    mkdirSync(this.#to, { recursive: true, mode: 0o700 });
  }

  #segments(): { name: string; length: number }[] {
    const names = readdirSync(this.#from).filter((name) => segmentNumber(name) >= 0);
    return names.map((name) => ({ name, length: Number.POSITIVE_INFINITY }));
  }

  /** Copies the first bytes of a file, if it is there. */
  async #copyFile(name: string, length = Number.POSITIVE_INFINITY): Promise<void> {
    const from = native.openAt(AT_FDCWD, path.join(this.#from, name), O_RDONLY | O_CLOEXEC, 0);
    if (from === -ENOENT) return;
    this.#check(from);
    const target = path.join(this.#to, name);
    mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 });
    const to = native.openAt(AT_FDCWD, target, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600);
    try {
      this.#check(to);
      this.#check(native.statFd(from, stat));
      const bytes = Math.min(length, stat[STAT.size]!);
      this.#check(await this.#copier.copy(from, to, bytes, () => this.#signal.aborted));
    } finally {
      native.close(from);
      if (to >= 0) native.close(to);
    }
  }

  #check(result: number): number {
    if (result >= 0) return result;
    if (this.#signal.aborted) throw copyError('the env', 'it was interrupted');
    throw copyError('the env', result === -ENOSPC ? 'No space left on device' : `errno ${-result}`);
  }
}
