import { realpathSync } from 'node:fs';
import path from 'node:path';

export const DEFAULT_ROOT = '/var/lib/byref';

/** --root, else BYREF_ROOT, else the default; absolute, without symlinks. */
export function resolveRoot(option: string | undefined): string {
  const chosen = option ?? process.env['BYREF_ROOT'];
  return realPath(path.resolve(chosen === undefined || chosen === '' ? DEFAULT_ROOT : chosen));
}

/** One root has one name, whatever symlinks lead to it: sockets and mounts are found by it. */
function realPath(directory: string): string {
  try {
    return realpathSync(directory);
  } catch {
    return directory;
  }
}
