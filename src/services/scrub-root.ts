/** Reads all objects of a root at a bounded rate: `byref scrub`. */
import path from 'node:path';
import { ByrefError } from '../base/error.ts';
import type { ObjectId } from '../base/ids.ts';
import { RunDir } from '../ipc/run-dir.ts';
import {
  type DamagedObject,
  type DamageReport,
  reportDamage,
} from '../manager/upkeep/scrub/damage-report.ts';
import { readObjects, type Scrubbed, type ScrubOptions } from '../manager/upkeep/scrub/scrub.ts';
import { type FileLock, signer, tryLock } from '../native/lock-file.ts';
import { knownDamage, noteDamage } from '../store/known-damage.ts';
import type { Patience } from '../store/patience.ts';
import { openStore } from '../store/store.ts';
import { upgradeRoot } from '../store/upgrade.ts';

/** The outcome of scrubRoot(). */
export interface RootScrubbed extends DamageReport {
  /** What this run has read. */
  readonly read: { readonly objects: number; readonly bytes: number };
  /** The round that it went on with: times are ISO 8601, UTC; `ended` is null if the run was ended before. */
  readonly round: {
    readonly begun: string;
    readonly ended: string | null;
    readonly objects: number;
    readonly bytes: number;
  };
}

/** How a root is scrubbed, and repaired. */
export interface ScrubWishes extends ScrubOptions {
  /** Replace damaged objects by copies that envs have, and move others aside for an import. */
  readonly repair: boolean;
  readonly patience: Patience;
}

/**
 * Goes on with the round of a root, up to its end, and says which objects are damaged, also by what earlier runs found.
 * @throws ByrefError 'locked' while another process scrubs the root
 */
export async function scrubRoot(root: string, wishes: ScrubWishes): Promise<RootScrubbed> {
  await upgradeRoot(root, wishes.patience);
  const lock = takeLock(root);
  try {
    const store = await openStore(root, { write: false });
    try {
      const scrubbed = await readObjects(store, wishes);
      const report = await reportDamage(store, scrubbed.broken, wishes);
      noteFound(root, scrubbed, report.damaged);
      return { ...told(scrubbed), ...report };
    } finally {
      await store.close();
    }
  } finally {
    lock.release();
  }
}

function takeLock(root: string): FileLock {
  const run = new RunDir(root);
  run.create();
  const file = path.join(run.path, 'scrub.lock');
  const lock = tryLock(file);
  if (lock !== null) return lock;
  const message = `${root} is being scrubbed already (pid ${signer(file) ?? '?'})`;
  throw new ByrefError('locked', message, 'Wait for its end: byref operation list');
}

/** Notes what is damaged now. Of what an earlier run found, it keeps what this one could not look at. */
function noteFound(
  root: string,
  { round, broken }: Scrubbed,
  damaged: readonly DamagedObject[],
): void {
  const known: Iterable<ObjectId> = round.endedMs === null ? knownDamage(root) : [];
  const left = new Set(known);
  for (const { id } of broken) left.delete(id);
  for (const { object, repaired } of damaged) if (!repaired) left.add(object);
  noteDamage(root, left);
}

function told({ objects, bytes, round }: Scrubbed): Pick<RootScrubbed, 'read' | 'round'> {
  const { begunMs, endedMs } = round;
  return {
    read: { objects, bytes },
    round: {
      begun: new Date(begunMs).toISOString(),
      ended: endedMs === null ? null : new Date(endedMs).toISOString(),
      objects: round.objects,
      bytes: round.bytes,
    },
  };
}
