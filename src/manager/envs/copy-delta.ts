/** Copies what an env has of its own, for a clone of it. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { runProgram } from '../../base/run-program.ts';
import { EnvLock } from '../../driver/delta/env-lock.ts';
import { LINK_DIR, LOCK_FILE, PRIVATE_DIR, segmentNumber } from '../../driver/delta/layout.ts';
import { envDir } from '../../store/store.ts';
import { VOLUMES_DIR } from './volumes.ts';

/** The content of the lock of a delta that was closed properly: FORMAT-delta.md. */
const CLEAN = 'clean\n';
const OUTPUT_MAX = 4096;

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
    const words = ['cp', '--archive', '--reflink=auto', '--', ...parts, target];
    if (parts.length > 0) await must(words, source, signal);
    if (lock.wasClean) writeFileSync(path.join(target, LOCK_FILE), CLEAN, { mode: 0o600 });
    await must(['sync', '--file-system', target], source, signal);
  } finally {
    await lock.release(lock.wasClean);
  }
}

/** True for what an env's own data are in: link table, journal, private files, volumes. */
const isPart = (name: string): boolean =>
  [LINK_DIR, PRIVATE_DIR, VOLUMES_DIR].includes(name) || segmentNumber(name) >= 0;

async function must(words: readonly string[], cwd: string, signal: AbortSignal): Promise<void> {
  const options = { cwd, signal, outputMax: OUTPUT_MAX, ofMore: 'end' } as const;
  const { code, how, stderr } = await runProgram(words, options);
  if (code === 0) return;
  const said = stderr.toString().trim() || how;
  const message = `the env could not be copied: ${said}`;
  if (/No space left/.test(said))
    throw new ByrefError('noSpace', message, 'Free some space, then run this again.');
  throw new ByrefError('error', message, 'Nothing was made. Correct it, then run this again.');
}
