import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { ENOENT } from '../../base/errno.ts';
import { ByrefError } from '../../base/error.ts';
import { failpoint } from '../../base/failpoints.ts';
import type { Ino, ObjectId } from '../../base/ids.ts';
import { DATA_PRIVATE } from '../../codec/inode-record.ts';
import { adopt, lostNames, removeTag } from './adopt-tagged.ts';
import { bootId } from './boot-id.ts';
import { type DeltaOptions, EnvDelta } from './env-delta.ts';
import { EnvLock } from './env-lock.ts';
import { type Hash64, loadHash } from './hash.ts';
import { Journal } from './journal.ts';
import { LINK_DIR } from './layout.ts';
import { LinkTable } from './link-table.ts';
import { bootNumber } from './name-tag.ts';
import { PendingChanges } from './pending-changes.ts';
import { PrivateFiles } from './private-files.ts';
import { RecordWriter } from './record-writer.ts';
import { openSegments, type Recovered, recover, repairJournal } from './recovery.ts';
import { RecoveryMarks } from './recovery-marks.ts';
import { restoreCopies } from './restore-copies.ts';
import { tailBudget } from './tail-budget.ts';

const CHECKPOINT_MS = 3000;
const CHECKPOINT_RECORDS = 20_000;
const CHECKPOINT_BYTES = 8 * 1024 * 1024;

/** Options of openDelta(). */
export interface OpenDeltaOptions extends Partial<DeltaOptions> {
  /** Opens an object read-only. Returns a descriptor, or -errno. */
  readonly openObject: (id: ObjectId) => number;
  /** Keeps inodes without a name: a driver that takes over from another has them open. */
  readonly keepOrphans?: boolean;
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
    const files = new PrivateFiles(envDir, options.openObject);
    const pending = new PendingChanges(openTable(envDir));
    const marks = new RecoveryMarks();
    const recovered = recover(envDir, pending, marks, bootId(), hash);
    const { damage } = recovered;
    if (damage === null) repairJournal(envDir, recovered);
    const settings = settingsOf(options);
    const unclean = isUnclean(lock, files);
    delta = new EnvDelta(
      {
        envDir,
        lock,
        journal: openJournal(envDir, pending, recovered, hash),
        pending,
        marks,
        files,
        writer: new RecordWriter(hash),
        nextIno: recovered.nextIno,
        readOnly: damage,
        wasCutShort: unclean || recovered.found,
      },
      settings,
    );
    if (damage !== null) settings.onError(new Error(`env opened read-only: ${damage}`));
    else {
      const { keepOrphans = false } = options;
      await reconcileFiles(delta, recovered, unclean, { envDir, keepOrphans });
    }
    return delta;
  } catch (error) {
    if (delta === null) await lock.release(false);
    else await delta.close();
    throw error;
  }
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

/** Opens an env's link table; null if it has none. Throws ByrefError 'corrupt' if it cannot be read. */
export function openTable(envDir: string, readOnly = false): LinkTable | null {
  const dir = path.join(envDir, LINK_DIR);
  if (!LinkTable.exists(dir)) return null;
  try {
    return readOnly ? new LinkTable(dir, true) : LinkTable.open(dir);
  } catch (error) {
    throw new ByrefError(
      'corrupt',
      `the link table in ${dir} cannot be read: ${(error as Error).message}`,
      'Restore the env from a backup; its private files are in private/.',
      { cause: error },
    );
  }
}

function openJournal(
  envDir: string,
  pending: PendingChanges,
  recovered: Recovered,
  hash: Hash64,
): Journal {
  const state = pending.table?.state() ?? null;
  const start = {
    dir: envDir,
    lineage: recovered.lineage ?? state?.lineage ?? randomBytes(8).readBigUInt64LE(),
    bootId: bootId(),
    sequence: recovered.sequence,
    durable: state?.sequence ?? 0,
    segments: openSegments(recovered),
    nextNumber: recovered.nextNumber,
  };
  return new Journal(start, hash);
}

/** Makes private files and records agree again. Each step can be cut short and repeated. */
async function reconcileFiles(
  delta: EnvDelta,
  recovered: Recovered,
  unclean: boolean,
  { envDir, keepOrphans }: { readonly envDir: string; readonly keepOrphans: boolean },
): Promise<void> {
  failpoint('recovered');
  const tagged = unclean || recovered.found ? await recoverTags(delta, recovered, envDir) : [];
  if (recovered.booted || tagged.length > 0) {
    restoreCopies(delta, [...recovered.lostCopies, ...tagged]);
    recreateMissing(delta);
  }
  if (!keepOrphans) delta.dropOrphans();
  // They go with the next flush, which may be far away.
  if ((unclean || recovered.found) && sweep(delta)) await delta.flush();
  failpoint('settled');
}

/** Brings back the names of files that were synced but are not in the journal. Returns these files. */
async function recoverTags(
  delta: EnvDelta,
  { sequence }: Recovered,
  envDir: string,
): Promise<readonly Ino[]> {
  const recent = delta.recentInodes().filter(({ data }) => data === DATA_PRIVATE);
  const unnamed = delta.files.list().filter((ino) => delta.inode(ino)?.data !== DATA_PRIVATE);
  const inos = new Set([...unnamed, ...recent.map(({ ino }) => ino)]);
  const lost = lostNames(envDir, inos, bootNumber(bootId()), sequence);
  const adopted = adopt(delta, lost);
  // With their names on disk the tags are no longer needed; nor are those from before a kill.
  if ((await delta.flush()) < 0) return adopted;
  failpoint('adopted');
  for (const ino of [...adopted, ...recent.map(({ ino }) => ino)]) removeTag(envDir, ino);
  return adopted;
}

/**
 * After a power cut: a file that was created but never fsynced may be in the journal and not in the directory. It
 * is then made anew, empty, as on any file system.
 */
function recreateMissing(delta: EnvDelta): void {
  const recent = delta.recentInodes();
  if (recent.length === 0) return;
  const there = new Set(delta.files.list());
  for (const record of recent) {
    if (record.data !== DATA_PRIVATE || there.has(record.ino)) continue;
    const fd = delta.files.createPrivate(record.ino);
    if (fd >= 0) delta.files.close(fd);
  }
}

/**
 * Removes private files that no record refers to: made for, or left by, a change that was cut short. Returns true
 * if there were any.
 */
function sweep(delta: EnvDelta): boolean {
  const unnamed = delta.files.list().filter((ino) => delta.inode(ino)?.data !== DATA_PRIVATE);
  for (const ino of unnamed) {
    const removed = delta.files.removePrivate(ino);
    if (removed < 0 && removed !== -ENOENT) break;
  }
  return unnamed.length > 0;
}
