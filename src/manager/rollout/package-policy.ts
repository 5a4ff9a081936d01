/** Policies about whole packages, kept among those about paths: PACKAGE_PREFIX and the package's name. */
import { ByrefError } from '../../base/error.ts';
import type { Policy } from '../../codec/patch-record.ts';

/** No path begins so. */
const PACKAGE_PREFIX = 'package:';

/** @throws ByrefError 'usage' for what is no name of a package */
export function takePackage(name: string): Policy {
  if (/^[a-z0-9][a-z0-9+.-]*$/.test(name)) {
    return { pattern: `${PACKAGE_PREFIX}${name}`, action: 'take' };
  }
  const hint = 'Give a name as dpkg -l shows it, without a version or an architecture.';
  throw new ByrefError('usage', `"${name}" is no name of a package`, hint);
}

/** Names of the packages that are to follow the template, although they are an env's own. */
export const takenPackages = (policies: readonly Policy[]): ReadonlySet<string> =>
  new Set(policies.filter(isOfPackage).map(({ pattern }) => pattern.slice(PACKAGE_PREFIX.length)));

export const isOfPackage = ({ pattern }: Policy): boolean => pattern.startsWith(PACKAGE_PREFIX);
