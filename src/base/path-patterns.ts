/** Precedes a pattern that does not begin with a slash: it matches in any directory. */
const ANYWHERE = '/(?:.*/)?';

/**
 * Returns a test of absolute paths (binary strings, "/usr/bin/env") against patterns. `*` stands for any part
 * of one component, and a pattern includes everything below what it matches. One that does not begin with a
 * slash matches in any directory.
 */
export function matchesPath(patterns: readonly string[]): (path: string) => boolean {
  if (patterns.length === 0) return () => false;
  const any = new RegExp(`^(?:${patterns.map(sourceOf).join('|')})(?:/|$)`, 's');
  return (path) => any.test(path);
}

function sourceOf(pattern: string): string {
  const source = Buffer.from(pattern.replace(/\/+$/, ''), 'utf8')
    .toString('latin1')
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^/]*');
  return pattern.startsWith('/') ? source : ANYWHERE + source;
}
