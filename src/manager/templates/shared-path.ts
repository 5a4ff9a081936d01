/**
 * Which files take the shared data path (docs/ARCHITECTURE.md): those that are executed or mapped, and
 * that packages replace by rename. A template says so by patterns of paths (src/base/path-patterns.ts).
 */
export const DEFAULT_SHARED_PATTERNS: readonly string[] = [
  '/usr',
  '/lib*',
  '/opt',
  '/bin',
  '/sbin',
];
