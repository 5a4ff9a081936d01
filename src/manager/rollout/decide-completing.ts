import type { CompletedPackages, DependencyPolicy, PatchRecord } from '../../codec/patch-record.ts';
import { decideStep } from '../packages/decide-step.ts';
import type { PackageVerdict } from '../packages/dependencies.ts';
import type { EnvOnTheWay, NextPackages } from '../packages/own-packages.ts';
import type { Trial } from './complete.ts';

/** The decision about an env's packages when its versions change, and apt's work there afterwards. */
export interface Decided {
  /** Null: dpkg says in the env what its templates say. */
  readonly verdict: PackageVerdict | null;
  readonly completion: CompletedPackages | null;
}

/** How far the policy `complete` has got in one env. */
export interface Completing {
  /** The result of the trial; null: not tried yet, which happens once the env has moved. */
  readonly trial: Trial | null;
  /** The packages that apt brought along by the patches that are now taken back; null: nothing is taken back. */
  readonly brought: readonly BroughtPackage[] | null;
}

/** One of an env's own packages that apt brought along, with its versions before and after. */
export interface BroughtPackage {
  /** As apt names it. */
  readonly name: string;
  readonly was: string;
  readonly is: string;
}

/**
 * Decides as decideStep() does. Under the policy `complete`, where packages would not fit, it also says what apt has to do,
 * as far as `completing` allows.
 */
export async function decideCompleting(
  env: EnvOnTheWay,
  next: NextPackages,
  policy: DependencyPolicy,
  { trial, brought }: Completing,
): Promise<Decided> {
  if (policy !== 'complete') {
    return { verdict: await decideStep(env, next, policy), completion: null };
  }
  const verdict = await decideStep(env, next, 'follow');
  if (verdict === null || verdict.unmet.length === 0) return { verdict, completion: null };
  if (trial !== null && 'packages' in trial) return { verdict, completion: null };
  const kept = await decideStep(env, next, 'keep');
  const wanted = brought === null ? [] : wantedBack(verdict, brought);
  // On the way back, packages that the env has installed by itself are left alone.
  if (trial !== null || (brought !== null && wanted.length === 0))
    return { verdict: kept, completion: null };
  return {
    verdict: kept,
    completion: { packages: [], ...(wanted.length === 0 ? {} : { wanted }), done: false },
  };
}

const wantedBack = ({ ours }: PackageVerdict, brought: readonly BroughtPackage[]): string[] => {
  const versions = new Set([...ours.values()].map(({ name, version }) => `${name} ${version}`));
  return brought
    .filter(({ name, is }) => versions.has(`${name.replace(/:.*$/, '')} ${is}`))
    .map(({ name, was }) => `${name}=${was}`);
};

/** Returns the packages that apt brought along in an env by these patches. @param undone the latest patch first */
export function broughtAlong(undone: readonly PatchRecord[], env: number): BroughtPackage[] {
  const brought = new Map<string, BroughtPackage>();
  for (const { envs } of undone) {
    const { completion } = envs.find(({ id }) => id === env) ?? {};
    if (completion?.done !== true || completion.why !== undefined) continue;
    for (const text of completion.packages) {
      const [, name, was, is] = /^(\S+) (\S+) -> (\S+)$/.exec(text) ?? [];
      if (name === undefined || was === undefined || is === undefined) continue;
      brought.set(name, { name, was, is: brought.get(name)?.is ?? is });
    }
  }
  return [...brought.values()];
}
