/** Copies what an env has of its own, for a clone of it. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { EnvLock } from '../../driver/delta/env-lock.ts';
import {
  LINK_DIR,
  LOCK_FILE,
  PRIVATE_DIR,
  segmentNumber,
  VOLUMES_DIR,
} from '../../driver/delta/layout.ts';
import { envDir } from '../../store/store.ts';
import { copyTree } from './copy-tree.ts';
import { MANAGED_NOTE } from './managed-files.ts';

/** The content of the lock of a delta that was closed properly: FORMAT-delta.md. */
const CLEAN = 'clean\n';

/**
 * Copies the changes of an env that nobody has mounted. They are on disk when this resolves. Where the file system can share
 * blocks (XFS, Btrfs), the copy takes none.
 * @param to the id of an env that has no directory yet
 * @param signal ends the work
 * @throws ByrefError 'locked' if the env is in use, 'noSpace', 'error'; then the directory may be there in part
 */
export async function copyDelta(
  root: string,
  from: number,
  to: number,
  signal: AbortSignal,
): Promise<void> {
  const [source, target] = [envDir(root, from), envDir(root, to)];
  // An env that was never mounted has changed nothing.
  if (!existsSync(source)) return;
  const lock = EnvLock.acquire(source);
  try {
    mkdirSync(target, { mode: 0o700 });
    const parts = readdirSync(source).filter(isPart);
    if (lock.wasClean) writeFileSync(path.join(target, LOCK_FILE), CLEAN, { mode: 0o600 });
    const words = parts.length > 0 ? ['--', ...parts, target] : [];
    await copyTree('the env', words, target, { cwd: source, signal });
  } finally {
    await lock.release(lock.wasClean);
  }
}

/** True for what an env's own data are in: link table, journal, private files, volumes, and what byref wrote to which of its files. */
const isPart = (name: string): boolean =>
  [LINK_DIR, PRIVATE_DIR, VOLUMES_DIR, MANAGED_NOTE].includes(name) || segmentNumber(name) >= 0;
