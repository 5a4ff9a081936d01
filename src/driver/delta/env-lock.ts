import path from 'node:path';
import { bootId } from '../../base/boot-id.ts';
import { ByrefError } from '../../base/error.ts';
import { procText } from '../../base/proc.ts';
import { LockFile } from '../../native/lock-file.ts';
import { LOCK_FILE } from './layout.ts';

const CLEAN = 'clean\n';

/** A journal segment that there was: what the lock file says of it outlives the segment. */
export interface NotedSegment {
  readonly number: number;
  /** The sequence number of its first record. */
  readonly first: number;
  /** The boot in which it was made. */
  readonly bootId: string;
  /** True if it was on disk: then it is there after a power cut, too. */
  readonly synced: boolean;
}

/**
 * The right to write an env: a lock on its file `lock`. The file says who holds it ("pid 123"), or that the last
 * holder left nothing undone ("clean"). A holder that died leaves its pid, and the last segment of its journal.
 */
export class EnvLock {
  readonly #file: LockFile;
  /** True if the previous holder closed the delta properly, or if there was none. */
  readonly wasClean: boolean;
  /** True if the file was empty. */
  readonly wasEmpty: boolean;
  #synced = false;
  #segment: NotedSegment | null;

  /** @param file the lock, held @param content the last word of the previous holder */
  private constructor(file: LockFile, content: string) {
    this.#file = file;
    this.wasClean = ['', CLEAN].includes(content);
    this.wasEmpty = content === '';
    this.#segment = segmentIn(content);
    // On a full disk the old content stays, which errs on the side of "not clean".
    this.#write();
  }

  /** Takes the lock. @throws ByrefError 'locked' while another process holds it */
  static acquire(envDir: string): EnvLock {
    const file = new LockFile(path.join(envDir, LOCK_FILE));
    try {
      if (!file.try('exclusive')) throw lockedError(envDir, file.read());
    } catch (error) {
      file.release();
      throw error;
    }
    return new EnvLock(file, file.read());
  }

  /** Puts on disk that there is a holder, once: after a power cut the file then shows that there was one. */
  async sync(): Promise<number> {
    if (this.#synced) return 0;
    const result = await this.#file.sync();
    this.#synced = result === 0;
    return result;
  }

  /** Notes which segment of the journal is the last one, after it was made; null before the last one is removed. */
  noteSegment(segment: { readonly number: number; readonly first: number } | null): void {
    this.#segment = segment && { ...segment, bootId: bootId(), synced: false };
    this.#write();
  }

  /** Notes that the segment, if it still is the last one, is on disk. */
  noteSynced(number: number): void {
    if (this.#segment?.number !== number || this.#segment.synced) return;
    this.#segment = { ...this.#segment, synced: true };
    this.#write();
  }

  /** Forgets the last segment, which is to be removed: this is on disk before it is. */
  async forgetSegment(): Promise<void> {
    const wasSynced = this.#segment?.synced ?? false;
    if (this.#segment === null) return;
    this.noteSegment(null);
    if (wasSynced) await this.#file.sync();
  }

  /** Releases the lock. `clean`: nothing is left for the next holder to recover or sweep. */
  async release(clean: boolean): Promise<void> {
    if (clean) {
      this.#file.write(CLEAN);
      if (this.#synced) await this.#file.sync();
    }
    this.#file.release();
  }

  #write(): void {
    this.#file.write(`pid ${process.pid}\n${segmentText(this.#segment)}`);
  }
}

/** Returns true if the env's last holder closed it properly, so that all of its changes are in the link table. */
export const closedProperly = (envDir: string): boolean =>
  procText(path.join(envDir, LOCK_FILE)) === CLEAN;

/** Returns the last segment that the env's last holder noted, or null. */
export const notedSegment = (envDir: string): NotedSegment | null =>
  segmentIn(procText(path.join(envDir, LOCK_FILE)));

function segmentText(segment: NotedSegment | null): string {
  if (segment === null) return '';
  const { number, first, bootId, synced } = segment;
  return `journal ${number} from ${first} in ${bootId}${synced ? ' synced' : ''}\n`;
}

function segmentIn(content: string): NotedSegment | null {
  const found = /^pid \d+\njournal (\d+) from (\d+) in ([0-9a-f]+)( synced)?\n/.exec(content);
  if (found === null) return null;
  const [, number, first, boot = '', synced] = found;
  return {
    number: Number(number),
    first: Number(first),
    bootId: boot,
    synced: synced !== undefined,
  };
}

function lockedError(envDir: string, content: string): ByrefError {
  const pid = /^pid (\d+)/.exec(content)?.[1];
  const holder = pid === undefined ? 'another process' : `process ${pid}`;
  return new ByrefError(
    'locked',
    `the env in ${envDir} is in use by ${holder}`,
    'Unmount the env, or wait for the command that is using it to end.',
  );
}
