import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { bootId } from '../../base/boot-id.ts';
import { isDamage, reasonOf } from '../../base/damaged.ts';
import { ENOENT } from '../../base/errno.ts';
import { ByrefError } from '../../base/error.ts';
import { failpoint } from '../../base/failpoints.ts';
import { type Ino, isPrivateIno, type ObjectId } from '../../base/ids.ts';
import { tableDamage } from '../../base/lmdb-check.ts';
import { isNoSpace } from '../../base/no-space.ts';
import { DATA_PRIVATE } from '../../codec/inode-record.ts';
import { adopt, lostNames, readTag, removeTag } from './adopt-tagged.ts';
import { drainInThread } from './checkpoint-thread.ts';
import { isLargeJournal } from './drain-journal.ts';
import { type DeltaOptions, EnvDelta } from './env-delta.ts';
import { EnvLock } from './env-lock.ts';
import { type Hash64, loadHash } from './hash.ts';
import { Journal, type SegmentNotes } from './journal.ts';
import { DISCARD_MARK, LINK_DIR } from './layout.ts';
import { LinkTable } from './link-table.ts';
import { lostDir } from './lost-files.ts';
import { bootNumber } from './name-tag.ts';
import { OwnTable, PagedTable } from './paged-table.ts';
import { PendingChanges } from './pending-changes.ts';
import { PrivateFiles } from './private-files.ts';
import { RecordWriter } from './record-writer.ts';
import { isComplete, openSegments, type Recovered, recover, repairJournal } from './recovery.ts';
import { RecoveryMarks } from './recovery-marks.ts';
import { restoreCopies } from './restore-copies.ts';
import { type GiveShared, Room } from './room.ts';
import type { TableView } from './table-view.ts';
import { tailBudget } from './tail-budget.ts';

const CHECKPOINT_MS = 3000;
const CHECKPOINT_RECORDS = 20_000;
const CHECKPOINT_BYTES = 8 * 1024 * 1024;

/** Options of openDelta(). */
export interface OpenDeltaOptions extends Partial<DeltaOptions> {
  /** Opens an object read-only. Returns a descriptor, or -errno. `size` is its length, if it is known. */
  readonly openObject: (id: ObjectId, size?: number) => number;
  /** Keeps inodes without a name: a driver that takes over from another has them open. */
  readonly keepOrphans?: boolean;
  /**
   * The process that had it open was killed, and programs use it: what that had not put on disk goes there with the next flush, if nothing
   * of it is lost, so that nobody waits for the disk now.
   */
  readonly goesOn?: boolean;
  /** Goes on from what there is of a journal that is damaged or lost; what no record names is kept in lost+found. */
  readonly acceptLoss?: boolean;
  /** Gives up space that is set aside for all envs, on a full disk. */
  readonly giveShared?: GiveShared;
  /** A journal with more bytes than this is moved into the link table piece by piece, before anything is read of it. */
  readonly largeJournalBytes?: number;
}

/**
 * Opens an env's delta for writing: takes its lock and recovers what a crash left. Creates nothing before the
 * first change.
 * @param envDir the env's directory, which exists
 * @throws ByrefError 'locked' while another process has it, 'corrupt' if the link table can't be read
 */
export async function openDelta(envDir: string, options: OpenDeltaOptions): Promise<EnvDelta> {
  const hash = await loadHash();
  const lock = EnvLock.acquire(envDir);
  let delta: EnvDelta | null = null;
  try {
    // Who was about to destroy it did not.
    rmSync(path.join(envDir, DISCARD_MARK), { force: true });
    const files = new PrivateFiles(envDir, options.openObject);
    const room = new Room(envDir, options.giveShared ?? (() => false));
    const settings = settingsOf(options);
    const isDrained = isLargeJournal(envDir, options.largeJournalBytes);
    if (isDrained) await drain(envDir, settings.onError);
    const pending = new PendingChanges(openTable(envDir));
    const marks = new RecoveryMarks();
    const recovered = recover(envDir, pending, marks, bootId(), hash, isDrained);
    const damage = options.acceptLoss === true ? null : recovered.damage;
    // What was moved into the table is no longer known change by change.
    const goesOn = options.goesOn === true && isComplete(recovered) && !isDrained;
    if (damage === null && !goesOn) await repairFiles(envDir, lock, recovered);
    const unclean = isUnclean(lock, files);
    delta = new EnvDelta(
      {
        envDir,
        lock,
        journal: openJournal(envDir, pending, recovered, hash, lock, room, goesOn),
        room,
        pending,
        marks,
        files,
        writer: new RecordWriter(hash),
        nextIno: Math.max(recovered.nextIno, options.acceptLoss ? afterAll(pending, recovered) : 0),
        readOnly: damage,
        wasCutShort: unclean || recovered.found,
      },
      settings,
    );
    if (damage !== null) settings.onError(new Error(`env opened read-only: ${damage}`));
    else {
      const { keepOrphans = false } = options;
      const nextIno = pending.table?.state()?.nextIno ?? 0;
      const { onError } = settings;
      const found = { envDir, keepOrphans, goesOn, nextIno, onError };
      await reconcileFiles(delta, recovered, unclean, found);
    }
    return delta;
  } catch (error) {
    if (delta === null) await lock.release(false);
    else await delta.close();
    throw error;
  }
}

/**
 * Moves a large journal into the link table before it is read: all of it would not fit into memory. Where that fails, as on a
 * full disk, it is read as it is.
 * @throws ByrefError 'corrupt' if the table is damaged
 */
export async function drain(envDir: string, onError: (error: Error) => void): Promise<void> {
  // The thread must not open a damaged table; openTable() says so.
  await openTable(envDir)?.close();
  try {
    await drainInThread({ drain: envDir });
  } catch (error) {
    onError(error as Error);
  }
}

/** Returns a number above all in the table: what is lost may be a journal that a part of it came from, see runDrain(). */
const afterAll = ({ table }: PendingChanges, { nextIno }: Recovered): number =>
  1 + (table?.lastIno(nextIno as Ino) ?? 0);

/** Repairs the journal. What is noted of it is right at each moment: it names no segment that is removed. */
async function repairFiles(envDir: string, lock: EnvLock, recovered: Recovered): Promise<void> {
  const last = recovered.segments.at(-1);
  if (recovered.dead.length > 0 || last === undefined) {
    await lock.forgetSegment();
    if (last !== undefined)
      lock.noteSegment({ number: last.number, first: last.header.firstSequence });
  }
  repairJournal(envDir, recovered);
}

/** An empty lock file is new, or a power cut took its content. */
const isUnclean = (lock: EnvLock, files: PrivateFiles): boolean =>
  !lock.wasClean || (lock.wasEmpty && files.list().length > 0);

function settingsOf(options: OpenDeltaOptions): DeltaOptions {
  return {
    onError: options.onError ?? ((error) => process.emitWarning(error)),
    checkpointMs: options.checkpointMs ?? CHECKPOINT_MS,
    checkpointRecords: options.checkpointRecords ?? CHECKPOINT_RECORDS,
    checkpointBytes: options.checkpointBytes ?? CHECKPOINT_BYTES,
    tailBudget: options.tailBudget ?? tailBudget,
  };
}

/** Opens the link table of an env that is locked; null if it has none. @throws ByrefError 'corrupt' if it is damaged */
const openTable = (envDir: string): OwnTable | null =>
  checked(envDir, (dir) => OwnTable.openOwn(dir));

/**
 * Opens an env's link table for reading, also while others write to it; null if it has none.
 * @param way 'pages' for few of many rows: what is read may throw Overwritten
 * @throws ByrefError 'corrupt' as openTable() does
 */
export const readTable = (envDir: string, way: 'moment' | 'pages'): TableView | null =>
  checked(envDir, (dir) => {
    const whole = PagedTable.whole(dir);
    if (whole !== null) return whole;
    return way === 'pages' ? PagedTable.open(dir) : new LinkTable(dir, true);
  });

/** Opens an env's link table, if it has one, unless its pages are damaged. */
function checked<T>(envDir: string, open: (dir: string) => T): T | null {
  const dir = path.join(envDir, LINK_DIR);
  if (!LinkTable.exists(dir)) return null;
  const damage = tableDamage(dir);
  if (damage !== null) throw damagedTable(dir, damage);
  try {
    return open(dir);
  } catch (error) {
    throw isDamage(error) ? damagedTable(dir, reasonOf(error)) : cannotOpen(dir, error);
  }
}

function cannotOpen(dir: string, cause: unknown): ByrefError {
  const message = `the link table in ${dir} can't be opened: ${(cause as Error).message}`;
  const hint = 'Nothing was changed: see to that, then run this again.';
  return new ByrefError(isNoSpace(cause) ? 'noSpace' : 'error', message, hint, { cause });
}

function damagedTable(dir: string, why: string): ByrefError {
  const message = `the link table in ${dir} is damaged: ${why}`;
  const hint =
    'See byref fsck. Restore the env from a backup; its private files are in private/, as they were.';
  return new ByrefError('corrupt', message, hint);
}

function openJournal(
  envDir: string,
  pending: PendingChanges<OwnTable>,
  recovered: Recovered,
  hash: Hash64,
  notes: SegmentNotes,
  room: Room,
  goesOn: boolean,
): Journal {
  const state = pending.table?.state() ?? null;
  const start = {
    dir: envDir,
    lineage: recovered.lineage ?? state?.lineage ?? randomBytes(8).readBigUInt64LE(),
    bootId: bootId(),
    sequence: recovered.sequence,
    durable: state?.sequence ?? 0,
    segments: openSegments(recovered.segments),
    // To remove them would take the disk.
    spent: goesOn ? openSegments(recovered.spent) : [],
    nextNumber: recovered.nextNumber,
    notes,
    room,
  };
  return new Journal(start, hash);
}

/** What reconcileFiles() must know of an env. */
interface Reconciled {
  readonly envDir: string;
  readonly keepOrphans: boolean;
  readonly goesOn: boolean;
  /** The next ino as of the last checkpoint. */
  readonly nextIno: number;
  readonly onError: (error: Error) => void;
}

/** Makes private files and records agree again. Each step can be cut short and repeated. */
async function reconcileFiles(
  delta: EnvDelta,
  recovered: Recovered,
  unclean: boolean,
  { envDir, keepOrphans, goesOn, ...swept }: Reconciled,
): Promise<void> {
  failpoint('recovered');
  const isWhole = goesOn && delta.goOn(recovered.moved);
  const isOther = !isWhole && (unclean || recovered.found);
  const tagged = isOther ? await recoverTags(delta, recovered, envDir) : [];
  if (recovered.booted || tagged.length > 0) {
    restoreCopies(delta, [...recovered.lostCopies, ...tagged]);
    recreateMissing(delta, recovered.recent);
  }
  if (!keepOrphans) delta.dropOrphans();
  const isSwept = (unclean || recovered.found) && sweep(delta, recovered, { ...swept, envDir });
  // They go with the next flush, which may be far away.
  if (isSwept && !isWhole) await delta.flush();
  failpoint('settled');
}

/** Brings back the names of files that were synced but are not in the journal. Returns these files. */
async function recoverTags(
  delta: EnvDelta,
  { sequence, recent }: Recovered,
  envDir: string,
): Promise<readonly Ino[]> {
  const unnamed = delta.files.list().filter((ino) => delta.inode(ino)?.data !== DATA_PRIVATE);
  const inos = new Set([...unnamed, ...recent]);
  const lost = lostNames(envDir, inos, bootNumber(bootId()), sequence);
  const adopted = adopt(delta, lost);
  // With their names on disk the tags are no longer needed; nor are those from before a kill.
  if ((await delta.flush()) < 0) return adopted;
  failpoint('adopted');
  for (const ino of [...adopted, ...recent, ...delta.orphans()]) removeTag(envDir, ino);
  return adopted;
}

/**
 * After a power cut: a file that was created but never fsynced may be in the journal and not in the directory. It
 * is then made anew, empty, as on any file system.
 */
function recreateMissing(delta: EnvDelta, recent: ReadonlySet<Ino>): void {
  if (recent.size === 0) return;
  const there = new Set(delta.files.list());
  for (const ino of recent) {
    if (there.has(ino) || delta.inode(ino)?.data !== DATA_PRIVATE) continue;
    const fd = delta.files.createPrivate(ino);
    if (fd >= 0) delta.files.close(fd);
  }
}

/**
 * Clears away private files that no record refers to: made for, or left by, a change that was cut short. Those of which it
 * is known that nothing is lost with them are removed; all others are kept in lost+found, since their records may be what
 * is lost. Returns true if there were any.
 */
function sweep(
  delta: EnvDelta,
  recovered: Recovered,
  { envDir, nextIno, onError }: { envDir: string; nextIno: number; onError: (e: Error) => void },
): boolean {
  const unnamed = delta.files.list().filter((ino) => delta.inode(ino)?.data !== DATA_PRIVATE);
  let kept = 0;
  for (const ino of unnamed) {
    // A copy of a template's file whose record was not written yet: its bytes are the template's, as far as it got.
    const isCopy = !isPrivateIno(ino) && isComplete(recovered);
    const isGone = recovered.cleared.has(ino) || delta.wasCleared(ino);
    const isKept = !isCopy && !isWorthless(delta, ino, { nextIno, isGone, envDir });
    const done = isKept ? delta.files.setAside(ino) : delta.files.removePrivate(ino);
    if (done < 0 && done !== -ENOENT) break;
    if (isKept) kept++;
    if (isPrivateIno(ino)) delta.skipTo((ino + 1) as Ino);
  }
  if (kept > 0)
    onError(new Error(`${kept} private files that nothing names are in ${lostDir(envDir)}`));
  return unnamed.length > 0;
}

/**
 * Returns true if the env has lost nothing with a private file that no record refers to.
 * @param known nextIno as of the last checkpoint: what was numbered before it, and is not in the table, was removed; isGone if the
 *   journal says that it was removed after
 */
function isWorthless(
  delta: EnvDelta,
  ino: Ino,
  known: { readonly nextIno: number; readonly isGone: boolean; readonly envDir: string },
): boolean {
  if (delta.files.sizeOf(ino) <= 0) return true;
  const tag = readTag(known.envDir, ino);
  if (isPrivateIno(ino)) return ino < known.nextIno || known.isGone || tag?.isNameless === true;
  const object = delta.inode(ino)?.object || tag?.file.object || '';
  return object !== '' && delta.files.hasBytesOf(ino, object);
}
