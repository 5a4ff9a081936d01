/**
 * Policies about dependencies between packages. They are kept among the policies about paths: their pattern is
 * DEPENDENCIES_PREFIX, followed by an env's name or id, or by nothing for all envs.
 */
import { ByrefError } from '../../base/error.ts';
import type { DependencyPolicy, Policy } from '../../codec/patch-record.ts';
import type { EnvRow, Store } from '../../store/store.ts';
import { needPeoplesEnv } from '../sandbox/owner.ts';

/** No path begins so, and no policy about a package does. */
const DEPENDENCIES_PREFIX = 'dependencies:';

/** All policies about dependencies, as users write them. */
export const DEPENDENCY_POLICIES: readonly DependencyPolicy[] = ['keep', 'follow', 'complete'];

/**
 * The default: new versions arrive, and packages fit together, wherever apt can have both. See docs/internals/adr/0025.
 */
const USUAL: DependencyPolicy = 'complete';

/** Parses a policy about dependencies. @param text POLICY, or ENV=POLICY @throws ByrefError 'usage' */
export function dependencyPolicy(text: string): Policy {
  const cut = text.lastIndexOf('=');
  const env = cut < 0 ? '' : text.slice(0, cut);
  const action = DEPENDENCY_POLICIES.find((each) => each === text.slice(cut + 1));
  if (action !== undefined && cut !== 0) return { pattern: `${DEPENDENCIES_PREFIX}${env}`, action };
  const hint = `Give ${DEPENDENCY_POLICIES.join(', ')}, for all envs, or ENV=${USUAL} for one.`;
  throw new ByrefError('usage', `"${text}" is no policy about dependencies`, hint);
}

/** True for a policy about dependencies, and not about paths or a package. */
export const isOfDependencies = ({ pattern }: Policy): boolean =>
  pattern.startsWith(DEPENDENCIES_PREFIX);

/** @throws ByrefError 'notFound' for a policy about an env that does not exist */
export function checkDependencyPolicies(store: Store, policies: readonly Policy[]): void {
  for (const { pattern } of policies.filter(isOfDependencies)) {
    const env = pattern.slice(DEPENDENCIES_PREFIX.length);
    if (env !== '') needPeoplesEnv(store, env);
  }
}

/** Returns the policy that holds for an env. One that names the env beats one for all; of several, the last one counts. */
export function dependencyPolicyOf(
  policies: readonly Policy[],
  { id, name }: Pick<EnvRow, 'id' | 'name'>,
): DependencyPolicy {
  const ofEnvs = [name, String(id)].map((each) => `${DEPENDENCIES_PREFIX}${each}`);
  const own = policies.findLast(({ pattern }) => ofEnvs.includes(pattern));
  const all = policies.findLast(({ pattern }) => pattern === DEPENDENCIES_PREFIX);
  return ((own ?? all)?.action as DependencyPolicy | undefined) ?? USUAL;
}
