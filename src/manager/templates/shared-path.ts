/**
 * Decides which files take the shared data path (docs/internals/ARCHITECTURE.md): those that are executed or
 * mapped, and that packages replace by rename. A template may have its own patterns (src/base/path-patterns.ts); these are
 * the default.
 */
export const DEFAULT_SHARED_PATTERNS: readonly string[] = [
  '/usr',
  '/lib*',
  '/opt',
  '/bin',
  '/sbin',
];
