import { realpathSync } from 'node:fs';
import path from 'node:path';

/** The root if neither --root nor BYREF_ROOT names one. */
export const DEFAULT_ROOT = '/var/lib/byref';

let lastRoot: string | null = null;

/** Returns the root that a command of this process has named last; null if none has. */
export const rootInUse = (): string | null => lastRoot;

/** Returns the root: --root, else BYREF_ROOT, else the default; as an absolute path without symlinks. */
export function resolveRoot(option: string | undefined): string {
  const chosen = option ?? process.env['BYREF_ROOT'];
  lastRoot = realPath(path.resolve(chosen === undefined || chosen === '' ? DEFAULT_ROOT : chosen));
  return lastRoot;
}

/** Resolves symlinks: sockets and mounts are found by the root's name, so that it must have only one. */
function realPath(directory: string): string {
  try {
    return realpathSync(directory);
  } catch {
    return directory;
  }
}
