/** Policies about whole packages. They are kept among those about paths: the pattern is PACKAGE_PREFIX and a package's name. */
import { ByrefError } from '../../base/error.ts';
import type { Policy } from '../../codec/patch-record.ts';

/** No path begins so. */
const PACKAGE_PREFIX = 'package:';

/** Makes the policy by which a package follows the templates. @throws ByrefError 'usage' if it can't be a package's name */
export function takePackage(name: string): Policy {
  if (/^[a-z0-9][a-z0-9+.-]*$/.test(name)) {
    return { pattern: `${PACKAGE_PREFIX}${name}`, action: 'take' };
  }
  const hint = 'Give a name as dpkg -l shows it, without a version or an architecture.';
  throw new ByrefError('usage', `"${name}" is no name of a package`, hint);
}

/** Returns the names of the packages that are to follow the templates although they are an env's own. */
export const takenPackages = (policies: readonly Policy[]): ReadonlySet<string> =>
  new Set(policies.filter(isOfPackage).map(({ pattern }) => pattern.slice(PACKAGE_PREFIX.length)));

/** True for a policy about a whole package, and not about paths. */
export const isOfPackage = ({ pattern }: Policy): boolean => pattern.startsWith(PACKAGE_PREFIX);
