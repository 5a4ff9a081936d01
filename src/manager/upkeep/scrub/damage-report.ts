/** Says of damaged objects who needs them, and replaces those of which a copy is found. */
import type { ObjectId } from '../../../base/ids.ts';
import { FORMAT } from '../../../store/marker.ts';
import { keepObjects } from '../../../store/object-lock.ts';
import type { Patience } from '../../../store/patience.ts';
import type { Store } from '../../../store/store.ts';
import { tellReplaced } from '../../envs/tell-replaced.ts';
import { brokenObjects, fetchObjects } from '../fsck/broken-objects.ts';
import type { BrokenObject, Finding, Found } from '../fsck/finding.ts';
import { Job } from '../fsck/job.ts';
import { envsThatSee, type NeededName, namesOf, usesOf } from '../fsck/object-uses.ts';
import type { EnvReaders } from '../fsck/report.ts';
import { asFound, repairFiles } from '../fsck/run.ts';
import { envsThatName } from './envs-that-name.ts';

/** An object that is missing or damaged, and who needs it. */
export interface DamagedObject {
  readonly object: ObjectId;
  /** The name of fsck's check that finds it, too: docs/internals/FSCK.md. */
  readonly check: string;
  /** What is wrong with it. */
  readonly what: string;
  readonly names: readonly NeededName[];
  /** Names of envs that show it. */
  readonly envs: readonly string[];
  /** What can be done. */
  readonly remedy: string;
  readonly repaired: boolean;
}

/** Damaged objects, and what a repair did. */
export interface DamageReport {
  readonly damaged: readonly DamagedObject[];
  /** After a repair: envs in which programs go on reading old files until they close them. */
  readonly oldReaders: readonly EnvReaders[];
}

/** @param repair replaces objects by copies that envs have, and moves what is damaged aside: see brokenObjects() */
export async function reportDamage(
  store: Store,
  broken: readonly BrokenObject[],
  { repair, patience }: { readonly repair: boolean; readonly patience: Patience },
): Promise<DamageReport> {
  if (broken.length === 0) return { damaged: [], oldReaders: [] };
  store.refresh();
  const ids = new Set(broken.map(({ id }) => id));
  const inDeltas = await envsThatName(store, ids);
  // One that nothing needs is a leftover of a removal.
  const needed = broken.filter(({ id, check }) => {
    const isNamed = (store.objects.row(id)?.refs ?? 0) > 0 || inDeltas.has(id);
    return check !== 'objects.missing' || isNamed;
  });
  const job = jobOf(store, repair);
  const fetched = repair ? fetchObjects(job, needed) : null;
  const lock = repair ? await keepObjects(store.objects.dir, patience) : null;
  try {
    const uses = usesOf(job, ids);
    const found = [...brokenObjects(job, needed, fetched)];
    const damaged = found.map((each, i) => {
      const { id, check, what } = needed[i]!;
      const envs = new Set([...envsThatSee(job, uses.get(id)), ...(inDeltas.get(id) ?? [])]);
      const { remedy, repaired } = repair ? repairOf(each) : asFound(each);
      const names = namesOf(job, uses.get(id));
      return { object: id, check, what, names, envs: [...envs], remedy, repaired };
    });
    return { damaged, oldReaders: await tellDrivers(store) };
  } finally {
    lock?.release();
  }
}

function jobOf(store: Store, repair: boolean): Job {
  const checks = { full: false, acceptLoss: false, removeLost: false, packages: false };
  return new Job(store, { ...checks, repair, format: FORMAT, progress: () => undefined });
}

/** Replaces or moves aside a file. What takes the role of the writer, byref fsck does. */
const repairOf = (found: Found): Finding =>
  found.rows === undefined ? repairFiles(found) : asFound(found);

async function tellDrivers(store: Store): Promise<EnvReaders[]> {
  const shards = store.envs().map(({ shard }) => shard);
  const readers = await tellReplaced(store.root, shards, store.objects.changed);
  return readers.map(({ env, files }) => ({ env: store.env(env)?.name ?? String(env), files }));
}
