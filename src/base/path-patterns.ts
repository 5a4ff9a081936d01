/**
 * A test of absolute paths (binary strings, "/usr/bin/env") by patterns: `*` stands for any part of one component, and a
 * pattern includes all that is below what it matches.
 */
export function matchesPath(patterns: readonly string[]): (path: string) => boolean {
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
