/**
 * Volumes: directories of the machine's file system, `envs/ID/volumes/N`, that a running env has at paths of its own. What is in
 * them is not seen by the driver, so it is as fast as the disk, and no patch looks at it.
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { runProgram } from '../../base/run-program.ts';
import type { Volume } from '../../codec/env-settings.ts';
import { envDir } from '../../store/store.ts';
import { resolveInRoot } from './runtime/paths-inside.ts';

/** The directory of all volumes of an env, in its own. */
export const VOLUMES_DIR = 'volumes';
const OUTPUT_MAX = 4096;
/** The unit of st_blocks, in bytes. */
const BLOCK = 512;

/** Returns the directory that holds a volume. */
export const volumeDir = (root: string, env: number, { id }: Volume): string =>
  path.join(envDir(root, env), VOLUMES_DIR, String(id));

/**
 * Makes the directory of a volume, with what the env has at the path now; it is on disk when this resolves.
 * @param mountpoint of the env
 * @throws ByrefError 'badInput' if there is something else than a directory, 'noSpace', 'error'; then nothing is left of it
 */
export async function fillVolume(
  root: string,
  env: number,
  volume: Volume,
  mountpoint: string,
): Promise<void> {
  const found = resolveInRoot(mountpoint, volume.path);
  if (found !== null && !found.stat.isDirectory()) {
    const message = `${volume.path} is no directory in the env`;
    throw new ByrefError('badInput', message, 'Name a directory, or a path that does not exist.');
  }
  const directory = volumeDir(root, env, volume);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  try {
    if (found !== null)
      await must(['cp', '--archive', '--reflink=auto', '-T', '--', found.path, directory]);
    await must(['sync', '--file-system', directory]);
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

/** True if a volume holds anything. */
export function hasContent(root: string, env: number, volume: Volume): boolean {
  const directory = volumeDir(root, env, volume);
  return existsSync(directory) && readdirSync(directory).length > 0;
}

/** What the volumes of an env take on disk, and the number of their files. */
export function volumesUsage(root: string, env: number): { bytes: number; files: number } {
  const seen = new Set<number>();
  let bytes = 0;
  const directories = [path.join(envDir(root, env), VOLUMES_DIR)];
  for (let at = directories.pop(); at !== undefined; at = directories.pop()) {
    for (const entry of existsSync(at) ? readdirSync(at, { withFileTypes: true }) : []) {
      const file = path.join(at, entry.name);
      if (entry.isDirectory()) directories.push(file);
      // A running env removes files meanwhile.
      const stat = lstatSync(file, { throwIfNoEntry: false });
      if (entry.isDirectory() || stat === undefined || seen.has(stat.ino)) continue;
      seen.add(stat.ino);
      bytes += stat.blocks * BLOCK;
    }
  }
  return { bytes, files: seen.size };
}

/** Removes what a volume holds. */
export const removeVolume = (root: string, env: number, volume: Volume): void =>
  rmSync(volumeDir(root, env, volume), { recursive: true, force: true });

async function must(words: readonly string[]): Promise<void> {
  const { code, how, stderr } = await runProgram(words, { outputMax: OUTPUT_MAX, ofMore: 'end' });
  if (code === 0) return;
  const said = stderr.toString().trim() || how;
  const message = `the volume could not be filled: ${said}`;
  if (/No space left/.test(said))
    throw new ByrefError('noSpace', message, 'Free some space, then run this again.');
  throw new ByrefError('error', message, 'Nothing was made. Correct it, then run this again.');
}
