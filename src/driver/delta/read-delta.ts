import { readdirSync } from 'node:fs';
import path from 'node:path';
import { bootId } from '../../base/boot-id.ts';
import { type Ino, isPrivateIno, type Name } from '../../base/ids.ts';
import { O_CLOEXEC } from '../../base/mode.ts';
import { BLOCK_BYTES, DATA_PRIVATE, type InodeRecord } from '../../codec/inode-record.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, native, STAT, STAT_SLOTS } from '../../native/binding.ts';
import type { DeltaEntry, DeltaName } from '../core/ports.ts';
import { lostNames } from './adopt-tagged.ts';
import { isLargeJournal } from './drain-journal.ts';
import { EnvLock } from './env-lock.ts';
import { loadHash } from './hash.ts';
import { PRIVATE_DIR, privateIno, segmentNumber } from './layout.ts';
import { bootNumber } from './name-tag.ts';
import { drain, readTable } from './open-delta.ts';
import { PendingChanges } from './pending-changes.ts';
import { type Recovered, recover } from './recovery.ts';
import { RecoveryMarks } from './recovery-marks.ts';
import type { OnDamage } from './table-view.ts';

const ATTEMPTS = 20;
/** The most answers that a view keeps. */
const ANSWERS_MAX = 4096;

/** A name that the env added, or removed (ino 0). */
export interface ChangedName extends DeltaEntry {
  readonly dir: Ino;
}

/** How much an env has changed. */
export interface DeltaUsage {
  /** Bytes that the env's private files take on disk. */
  readonly privateBytes: number;
  readonly privateFiles: number;
  /** Inodes that the env created or changed. */
  readonly inodes: number;
  /** Of these, the ones that it created or has a private copy of: those that a limit counts. */
  readonly privateInodes: number;
}

/** An env's changes at one moment, for reading. */
export interface DeltaView {
  /**
   * Yields every changed name, in no order.
   * @param onDamage called with damaged rows of the link table, which are skipped; without it they throw
   */
  changedNames(onDamage?: OnDamage): IterableIterator<ChangedName>;
  /**
   * Yields every inode record of the delta.
   * @param onDamage as for changedNames()
   */
  inodes(onDamage?: OnDamage): IterableIterator<InodeRecord>;
  inode(ino: Ino): InodeRecord | null;
  name(dir: Ino, name: Name): DeltaName | null;
  /** Like Delta.list. */
  list(dir: Ino, after: number, max: number): readonly DeltaEntry[];
  usage(): DeltaUsage;
  /** Why the view may be incomplete (a damaged journal), or null. */
  readonly damage: string | null;
  /** No private ino from this number up was ever given out. */
  readonly nextIno: number;
  /** True if there is neither a link table nor a journal: the env changed nothing, or has lost both. */
  readonly isEmpty: boolean;
  /**
   * Returns true if the machine was booted since, and the next mount will complete the inode's file, or give the
   * file back the name under which it was synced.
   */
  awaitsRecovery(ino: Ino): boolean;
  /**
   * To be called before anything is done with what was read in the way 'pages'.
   * @throws Overwritten if it may be of several moments
   */
  confirm(): void;
  close(): Promise<void>;
}

/**
 * Reads an env's delta without its lock and without writing, even while a driver serves the env. Only a large journal that a driver
 * or the machine has left is first moved into the link table, as the next mount would do it.
 * @param way 'pages' for few of many names: what is read may throw Overwritten, and is right once confirm() says nothing
 * @throws ByrefError 'corrupt' if the link table can't be read
 */
export async function readDelta(
  envDir: string,
  way: 'moment' | 'pages' = 'moment',
): Promise<DeltaView> {
  const hash = await loadHash();
  if (isLargeJournal(envDir)) await drainUnserved(envDir);
  for (let attempt = 1; ; attempt++) {
    const before = segments(envDir);
    const pending = new PendingChanges(readTable(envDir, way));
    let recovered: Recovered;
    try {
      recovered = recover(envDir, pending, new RecoveryMarks(), bootId(), hash);
    } catch (error) {
      const { table } = pending;
      try {
        table?.confirm();
      } finally {
        await table?.close();
      }
      // A checkpoint ended and removed a segment between the listing and the read.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === ATTEMPTS) throw error;
      continue;
    }
    // A checkpoint that ran meanwhile changes the set of segments; a record that was being written while we read
    // looks damaged.
    const isWhole = before === segments(envDir) && recovered.damage === null;
    if (isWhole || attempt === ATTEMPTS) {
      return new OpenView(envDir, pending, recovered);
    }
    await pending.table?.close();
  }
}

/** Moves a large journal into the link table, if no driver has the env: then the driver sees to it. */
async function drainUnserved(envDir: string): Promise<void> {
  let lock: EnvLock;
  try {
    lock = EnvLock.acquire(envDir);
  } catch {
    // It is served; or on what can't be written to, and is read as it is.
    return;
  }
  try {
    await drain(envDir, () => undefined);
  } finally {
    await lock.release(false);
  }
}

const segments = (envDir: string): string =>
  readdirSync(envDir)
    .filter((name) => segmentNumber(name) >= 0)
    .sort()
    .join();

/** Answers that are asked for again: a plan comes back to each name several times. */
class Answers<Key, Answer> {
  readonly #known = new Map<Key, Answer>();

  get(key: Key, ask: () => Answer): Answer {
    let answer = this.#known.get(key);
    if (answer !== undefined) return answer;
    answer = ask();
    if (this.#known.size >= ANSWERS_MAX) this.#known.clear();
    this.#known.set(key, answer);
    return answer;
  }
}

class OpenView implements DeltaView {
  readonly damage: string | null;
  readonly nextIno: number;
  readonly isEmpty: boolean;
  readonly #envDir: string;
  readonly #pending: PendingChanges;
  readonly #names = new Answers<string, DeltaName | null>();
  readonly #inodes = new Answers<Ino, InodeRecord | null>();
  readonly #booted: boolean;
  readonly #recent: ReadonlySet<Ino>;
  readonly #sequence: number;

  constructor(envDir: string, pending: PendingChanges, recovered: Recovered) {
    this.#envDir = envDir;
    this.#pending = pending;
    this.#booted = recovered.booted;
    this.#recent = recovered.recent;
    this.#sequence = recovered.sequence;
    this.damage = recovered.damage;
    this.nextIno = recovered.nextIno;
    this.isEmpty = pending.table === null && !recovered.found;
  }

  changedNames(onDamage?: OnDamage): IterableIterator<ChangedName> {
    return this.#pending.allNames(onDamage);
  }

  inodes(onDamage?: OnDamage): IterableIterator<InodeRecord> {
    return this.#pending.allInodes(onDamage);
  }

  inode(ino: Ino): InodeRecord | null {
    return this.#inodes.get(ino, () => this.#pending.inode(ino));
  }

  name(dir: Ino, name: Name): DeltaName | null {
    return this.#names.get(`${dir} ${name}`, () => this.#pending.name(dir, name));
  }

  list(dir: Ino, after: number, max: number): readonly DeltaEntry[] {
    return this.#pending.list(dir, after, max);
  }

  awaitsRecovery(ino: Ino): boolean {
    if (this.#booted && this.#recent.has(ino)) return true;
    return lostNames(this.#envDir, [ino], bootNumber(bootId()), this.#sequence).length > 0;
  }

  usage(): DeltaUsage {
    let inodes = 0;
    let privateInodes = 0;
    for (const { ino, data } of this.#pending.allInodes()) {
      inodes++;
      if (isPrivateIno(ino) || data === DATA_PRIVATE) privateInodes++;
    }
    return { ...privateUsage(this.#envDir), inodes, privateInodes };
  }

  confirm(): void {
    this.#pending.table?.confirm();
  }

  async close(): Promise<void> {
    await this.#pending.table?.close();
  }
}

/** Sums up `private/`; costs one stat per file. */
export function privateUsage(envDir: string): { privateBytes: number; privateFiles: number } {
  const dir = path.join(envDir, PRIVATE_DIR);
  const dirfd = native.openAt(AT_FDCWD, dir, O_CLOEXEC, 0);
  if (dirfd < 0) return { privateBytes: 0, privateFiles: 0 };
  const stat = new Float64Array(STAT_SLOTS);
  let privateBytes = 0;
  let privateFiles = 0;
  for (const name of readdirSync(dir)) {
    if (privateIno(name) < 0) continue;
    // Removed meanwhile: not counted.
    if (native.statAt(dirfd, name, stat, AT_SYMLINK_NOFOLLOW) < 0) continue;
    privateBytes += (stat[STAT.blocks] ?? 0) * BLOCK_BYTES;
    privateFiles++;
  }
  native.close(dirfd);
  return { privateBytes, privateFiles };
}
