/** Names what envs have lost, removes it if that is asked for, and has an env go on without a part of its journal. */
import { privateName } from '../../../driver/delta/layout.ts';
import { type LostFile, lostFiles, removeLost } from '../../../driver/delta/lost-files.ts';
import { openDelta } from '../../../driver/delta/open-delta.ts';
import type { EnvRow } from '../../../store/store.ts';
import { envDir } from '../../../store/store.ts';
import type { DeltaFound } from './delta-finding.ts';
import { type CheckedEnv, envName } from './delta-job.ts';
import { asFinding } from './delta-repair.ts';
import { type Finding, leftover } from './finding.ts';
import type { Job } from './job.ts';
import { asFound } from './run.ts';

const REMEDY = 'move what is needed out of it; byref fsck --remove-lost removes it';

/** Names the files in an env's lost+found. */
export function* checkLost(job: Job, id: number, row: EnvRow | null): Generator<Finding> {
  const isRemoved = job.options.repair && job.options.removeLost;
  for (const lost of lostFiles(envDir(job.root, id))) {
    if (isRemoved) removeLost(lost);
    const what = `${envName({ id, row })} has lost it: ${describe(lost)}`;
    const found = asFound(leftover('delta.lost', lost.path, what, REMEDY));
    yield { ...found, repaired: isRemoved };
  }
}

function describe({ ino, bytes, mtimeMs, name }: LostFile): string {
  const size = `${bytes} bytes, written ${new Date(mtimeMs).toISOString()}`;
  if (ino === null) return `a part of its journal, ${size}`;
  const called = name === null ? '' : `, called ${Buffer.from(name, 'latin1').toString('utf8')}`;
  return `the file of inode ${privateName(ino)}, ${size}${called}`;
}

/**
 * Has an env that is not mounted go on from what there is of its journal, if that is damaged or lost; the rest is kept in its
 * lost+found. Returns what was repaired by it, or why it was not.
 */
export async function acceptLoss(
  job: Job,
  env: CheckedEnv,
  found: readonly DeltaFound[],
): Promise<Finding[]> {
  const lost = found.filter(({ check }) => check === 'delta.journal');
  if (lost.length === 0 || env.served) return [];
  try {
    const delta = await openDelta(env.directory, {
      openObject: (id) => job.store.objects.open(id),
      keepOrphans: true,
      acceptLoss: true,
    });
    await delta.close();
  } catch {
    // The finding that follows says why it can't be opened.
    return [];
  }
  return lost.map((finding) => asFinding(finding, true));
}
