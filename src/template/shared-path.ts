/**
 * Which files take the shared data path (docs/ARCHITECTURE.md): those that are executed or mapped, and
 * that packages replace by rename. A template says so by patterns of paths: `*` stands for any part of
 * one component, and a pattern includes all that is below what it matches.
 */
export const DEFAULT_SHARED_PATTERNS: readonly string[] = [
  '/usr',
  '/lib*',
  '/opt',
  '/bin',
  '/sbin',
];

/** A test of absolute paths (binary strings, "/usr/bin/env"). */
export function sharedPaths(patterns: readonly string[]): (path: string) => boolean {
  if (patterns.length === 0) return () => false;
  const sources = patterns.map((pattern) =>
    Buffer.from(pattern.replace(/\/+$/, ''), 'utf8')
      .toString('latin1')
      .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '[^/]*'),
  );
  const any = new RegExp(`^(?:${sources.join('|')})(?:/|$)`, 's');
  return (path) => any.test(path);
}
