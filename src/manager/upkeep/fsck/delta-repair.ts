/** Puts right what can be in the delta of an env that nobody serves. */
import { failpoint } from '../../../base/failpoints.ts';
import type { EnvDelta } from '../../../driver/delta/env-delta.ts';
import { openDelta } from '../../../driver/delta/open-delta.ts';
import type { DeltaFound } from './delta-finding.ts';
import type { CheckedEnv } from './delta-job.ts';
import type { Finding } from './finding.ts';
import type { Job } from './job.ts';

export const asFinding = (
  { check, severity, where, what, remedy }: DeltaFound,
  repaired: boolean,
): Finding => ({ check, severity, where, what, remedy, repaired });

/** A file that comes and goes under one name is another one each time. */
const idOf = ({ check, where, ino }: DeltaFound): string => `${check} ${ino ?? where}`;

/** What is found again, as it was found then. */
export function inBoth(before: readonly DeltaFound[], now: readonly DeltaFound[]): DeltaFound[] {
  const known = new Set(before.map(idOf));
  return now.filter((finding) => known.has(idOf(finding)));
}

/**
 * Repairs what can be, under the env's lock, and says what came of it.
 * @param look checks the env anew: what it does not find any more is repaired
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

/** Null, or why nothing was changed. */
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
      // An inode with names may be taken for one without by the very damage that is to be repaired.
      keepOrphans: true,
      onError: (error) => problems.push(error.message),
    });
  } catch (error) {
    // Locked: mounted just now. Anything else: it is not fit to be opened, and stays as it is.
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

/** Files that nothing names are only useless if nothing is missing. */
function removeFiles(delta: EnvDelta, found: readonly DeltaFound[]): void {
  const isSure = found.every(({ severity, change }) => severity === 'leftover' || change);
  if (isSure) for (const { files } of found) files?.(delta);
}
