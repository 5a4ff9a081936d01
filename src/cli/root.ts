import path from 'node:path';

export const DEFAULT_ROOT = '/var/lib/byref';

/** --root, else BYREF_ROOT, else the default; absolute. */
export function resolveRoot(option: string | undefined): string {
  const chosen = option ?? process.env['BYREF_ROOT'];
  return path.resolve(chosen === undefined || chosen === '' ? DEFAULT_ROOT : chosen);
}
