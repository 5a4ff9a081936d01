import { ByrefError } from '../../base/error.ts';
import { matchesPath } from '../../base/path-patterns.ts';
import type { Policy, PolicyAction } from '../../codec/patch-record.ts';
import { isGenerated } from '../merge/generated.ts';
import { registryFormat } from '../merge/table.ts';
import { isOfDependencies } from './dependency-policy.ts';
import { isOfPackage } from './package-policy.ts';

/**
 * Tells what happens to an env's own copy of a file, given its path as a binary string. Without a policy for it: `merge`
 * for a registry file, by key, and `keep` for any other.
 */
export type PolicyOf = (path: string) => PolicyAction;

/** Makes the rule from policies, of which the last one that matches a path counts. Those that are not about paths are ignored. */
export function policyOf(policies: readonly Policy[]): PolicyOf {
  const tests = policies.filter(isOfPaths).map(({ pattern, action }) => {
    return { test: matchesPath([pattern]), action: action as PolicyAction };
  });
  return (path) => tests.findLast(({ test }) => test(path))?.action ?? usual(path);
}

const isOfPaths = (policy: Policy): boolean => !isOfPackage(policy) && !isOfDependencies(policy);

const usual = (path: string): PolicyAction => (registryFormat(path) === null ? 'keep' : 'merge');

/**
 * True for the records that dpkg and apt keep of packages. These are never set aside: they say what is installed, and so
 * have to follow it.
 */
export const isPackageRecord = (path: string): boolean =>
  path.startsWith('/var/lib/dpkg/') || path === '/var/lib/apt/extended_states';

/** True for files that programs write anew without changing them, so that their times say nothing. */
export const isRewritten = (path: string): boolean => isPackageRecord(path) || isGenerated(path);

/** Returns the policy, checked. @throws ByrefError 'usage' for a pattern that no path can match */
export function checkPolicy(policy: Policy): Policy {
  if (policy.pattern.startsWith('/')) return policy;
  const message = `"${policy.pattern}" is no pattern of paths`;
  throw new ByrefError('usage', message, 'Begin it with a slash: /etc/nginx, or /etc/*.conf.');
}
