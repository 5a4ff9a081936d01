import { isShortage } from '../../base/errno.ts';
import { failpoint } from '../../base/failpoints.ts';
import type { Ino } from '../../base/ids.ts';
import { O_RDONLY } from '../../base/mode.ts';
import { FLAG_UNSYNCED } from '../../codec/inode-record.ts';
import { native } from '../../native/binding.ts';
import type { Delta } from '../core/ports.ts';
import type { PrivateFiles } from './private-files.ts';
import type { RecoveryMarks } from './recovery-marks.ts';

/** If more copies than this wait, one syncfs syncs them all instead of one fsync each. */
const ONE_BY_ONE_MAX = 32;

/** An inode and the number of its copy; see RecoveryMarks. */
type Copy = readonly [ino: Ino, copy: number];

/**
 * Takes FLAG_UNSYNCED off copied-up files once their bytes are on disk. Until then their records name the object
 * too: after a power cut recovery goes back to the object, because what the copy holds is unknown, and the
 * object's bytes were durable.
 */
export class CopySyncer {
  readonly #delta: Pick<Delta, 'begin' | 'commit' | 'inode'>;
  readonly #files: PrivateFiles;
  readonly #marks: RecoveryMarks;

  constructor(
    delta: Pick<Delta, 'begin' | 'commit' | 'inode'>,
    files: PrivateFiles,
    marks: RecoveryMarks,
  ) {
    this.#delta = delta;
    this.#files = files;
    this.#marks = marks;
  }

  /**
   * Does fsync on one private file, open as `fd`. Resolves to 0 or -errno. The change of its record is committed,
   * not flushed.
   */
  async syncOne(ino: Ino, fd: number, dataOnly: boolean): Promise<number> {
    const copy = this.#marks.unsynced.get(ino);
    const failed = await native.fsyncAsync(fd, dataOnly);
    if (failed < 0 || copy === undefined) return failed;
    return this.#recordSynced([[ino, copy]]);
  }

  /** Syncs all copies that wait. Throws an Error if that fails. */
  async syncAll(): Promise<void> {
    const copies = [...this.#marks.unsynced];
    if (copies.length === 0) return;
    const failed =
      copies.length > ONE_BY_ONE_MAX
        ? await this.#files.syncFileSystem()
        : await this.#syncEach(copies);
    if (failed < 0) throw new Error(`copied-up files cannot be synced: errno ${-failed}`);
    const recorded = await this.#recordSynced(copies);
    if (recorded < 0) throw new Error(`synced copies cannot be recorded: errno ${-recorded}`);
  }

  async #syncEach(copies: readonly Copy[]): Promise<number> {
    for (const [ino] of copies) {
      const fd = this.#files.openPrivate(ino, O_RDONLY);
      if (isShortage(fd)) return fd;
      // Removed meanwhile, and so its record is gone too.
      if (fd < 0) continue;
      const failed = await native.fsyncAsync(fd, true);
      native.close(fd);
      if (failed < 0) return failed;
    }
    return 0;
  }

  /**
   * Syncs directory entries before it takes the flag off: a durable record without the flag has no object to go
   * back to.
   */
  async #recordSynced(copies: readonly Copy[]): Promise<number> {
    const failed = await this.#files.syncEntries();
    if (failed < 0) return failed;
    failpoint('copies-synced');
    const change = this.#delta.begin();
    for (const [ino, copy] of copies) {
      const record = this.#delta.inode(ino);
      // The inode has another copy than the one that was synced, or none any more.
      if (record === null || this.#marks.unsynced.get(ino) !== copy) continue;
      change.setInode({ ...record, object: '', flags: record.flags & ~FLAG_UNSYNCED });
    }
    return this.#delta.commit();
  }
}
