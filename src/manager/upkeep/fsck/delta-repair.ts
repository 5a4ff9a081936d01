/** Repairs the delta of an env that is not served. */
import { failpoint } from '../../../base/failpoints.ts';
import type { EnvDelta } from '../../../driver/delta/env-delta.ts';
import { openDelta } from '../../../driver/delta/open-delta.ts';
import type { DeltaFound } from './delta-finding.ts';
import type { CheckedEnv } from './delta-job.ts';
import type { Finding } from './finding.ts';
import type { Job } from './job.ts';

/** Returns the finding for the report. */
export const asFinding = (
  { check, severity, where, what, remedy }: DeltaFound,
  repaired: boolean,
): Finding => ({ check, severity, where, what, remedy, repaired });

/**
 * Identifies a finding. A file that comes and goes under one name is a different one each time, so the inode
 * counts first.
 */
const idOf = ({ check, where, ino }: DeltaFound): string => `${check} ${ino ?? where}`;

/** Returns the findings that both looks have, as the second one has them. */
export function inBoth(before: readonly DeltaFound[], now: readonly DeltaFound[]): DeltaFound[] {
  const known = new Set(before.map(idOf));
  return now.filter((finding) => known.has(idOf(finding)));
}

/**
 * Repairs what can be repaired, under the env's lock, and returns what came of it.
 * @param look checks the env again: what it no longer finds is repaired
 */
export async function repairDelta(
  job: Job,
  env: CheckedEnv,
  found: readonly DeltaFound[],
  look: () => Promise<DeltaFound[]>,
): Promise<Finding[]> {
  const unrepaired = found.map((finding) => asFinding(finding, false));
  const can = found.some(({ change, files }) => change !== undefined || files !== undefined);
  if (env.served || !can || found.some(({ blocks }) => blocks === true)) return unrepaired;
  const failure = await apply(job, env, found);
  if (failure !== null) {
    return unrepaired.map((finding) => ({
      ...finding,
      remedy: `${finding.remedy} (not now: ${failure})`,
    }));
  }
  const left = await look();
  const still = new Set(left.map(idOf));
  return [
    ...found.filter((finding) => !still.has(idOf(finding))).map((f) => asFinding(f, true)),
    ...left.map((finding) => asFinding(finding, false)),
  ];
}

/** Applies the repairs; returns null, or why nothing was changed. */
async function apply(
  job: Job,
  env: CheckedEnv,
  found: readonly DeltaFound[],
): Promise<string | null> {
  let delta: EnvDelta;
  const problems: string[] = [];
  try {
    delta = await openDelta(env.directory, {
      openObject: (id) => job.store.objects.open(id),
      // Because of the damage itself, an inode that has names may look like one that has none.
      keepOrphans: true,
      onError: (error) => problems.push(error.message),
    });
  } catch (error) {
    // Locked means that it was just mounted. After any other error it can't be opened, and stays as it is.
    return (error as Error).message;
  }
  try {
    const change = delta.begin();
    for (const finding of found) finding.change?.(delta, change);
    const failed = delta.commit();
    if (failed < 0) problems.push(`its changes can't be written: errno ${-failed}`);
    else {
      failpoint('fsck-delta');
      removeFiles(delta, found);
    }
  } finally {
    await delta.close();
  }
  return problems.length === 0 ? null : problems.join('; ');
}

/** Removes files that nothing names, if nothing is missing: otherwise they may be what is missing. */
function removeFiles(delta: EnvDelta, found: readonly DeltaFound[]): void {
  const isSure = found.every(({ severity, change }) => severity === 'leftover' || change);
  if (isSure) for (const { files } of found) files?.(delta);
}
