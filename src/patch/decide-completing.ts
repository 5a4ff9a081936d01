import type { CompletedPackages, DependencyPolicy } from '../codec/patch-record.ts';
import { decideStep } from '../packages/decide-step.ts';
import type { PackageVerdict } from '../packages/dependencies.ts';
import type { EnvOnTheWay, NextPackages } from '../packages/own-packages.ts';
import type { Trial } from './complete.ts';

/** What becomes of an env's packages at a step, and what apt is to do there afterwards. */
export interface Decided {
  /** Null: dpkg says in the env what its templates say. */
  readonly verdict: PackageVerdict | null;
  readonly completion: CompletedPackages | null;
}

/**
 * Decides as decideStep(); where packages would not fit, by the policy `complete`, as it was tried.
 * @param trial null: it was not tried
 */
export async function decideCompleting(
  env: EnvOnTheWay,
  next: NextPackages,
  policy: DependencyPolicy,
  trial: Trial | null,
): Promise<Decided> {
  const verdict = await decideStep(env, next, policy === 'complete' ? 'follow' : policy);
  if (policy !== 'complete' || verdict === null || verdict.unmet.length === 0) {
    return { verdict, completion: null };
  }
  if (trial !== null && 'packages' in trial) {
    return { verdict, completion: { packages: trial.packages, done: false } };
  }
  const why = trial === null ? 'it could not be tried' : trial.why;
  return {
    verdict: await decideStep(env, next, 'keep'),
    completion: { packages: [], why, done: true },
  };
}
