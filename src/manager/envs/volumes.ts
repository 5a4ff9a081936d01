/**
 * Volumes: directories of the machine's file system, `envs/ID/volumes/N`, that a running env has at paths of its own; those with a
 * size are file systems in files, `N.img`. What is in them is not seen by the driver, so it is as fast as the disk, and no patch looks at
 * it. What is not there yet is made when the env starts, with what it has at the path.
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { failpoint } from '../../base/failpoints.ts';
import type { Volume } from '../../codec/env-settings.ts';
import { BLOCK_BYTES } from '../../codec/inode-record.ts';
import { VOLUMES_DIR } from '../../driver/delta/layout.ts';
import { envDir } from '../../store/store.ts';
import { copyTree } from './copy-tree.ts';
import { resolveInRoot } from './runtime/paths-inside.ts';

/** Returns the directory that holds a volume without a size. */
export const volumeDir = (root: string, env: number, { id }: Volume): string =>
  path.join(envDir(root, env), VOLUMES_DIR, String(id));

/** Returns the file that holds a volume with a size. */
export const volumeImage = (root: string, env: number, { id }: Volume): string =>
  path.join(envDir(root, env), VOLUMES_DIR, `${id}.img`);

/**
 * Returns the directory that an env has at the path of a volume; null if there is nothing.
 * @throws ByrefError 'badInput' if there is something else than a directory
 */
export function contentInside(mountpoint: string, volume: Volume): string | null {
  const found = resolveInRoot(mountpoint, volume.path);
  if (found === null || found.stat.isDirectory()) return found?.path ?? null;
  const message = `${volume.path} is no directory in the env`;
  throw new ByrefError('badInput', message, 'Name a directory, or a path that does not exist.');
}

/**
 * Makes the directory of a volume, with what the env has at the path now; it is on disk when this resolves, and has its name only
 * then.
 * @param mountpoint of the env
 * @throws ByrefError 'badInput' if there is something else than a directory, 'noSpace', 'error'; then nothing is left of it
 */
export async function fillVolume(
  root: string,
  env: number,
  volume: Volume,
  mountpoint: string,
): Promise<void> {
  const content = contentInside(mountpoint, volume);
  const directory = volumeDir(root, env, volume);
  const part = `${directory}.part`;
  for (const each of [directory, part]) rmSync(each, { recursive: true, force: true });
  mkdirSync(part, { recursive: true });
  try {
    const words = content === null ? [] : ['-T', '--', content, part];
    await copyTree('what the volume is to hold', words, part);
    failpoint('volume-copied');
    renameSync(part, directory);
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    throw error;
  }
}

/** True if a volume holds anything; one with a size counts as if it did, once it was used. */
export function hasContent(root: string, env: number, volume: Volume): boolean {
  if (existsSync(volumeImage(root, env, volume))) return true;
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
      bytes += stat.blocks * BLOCK_BYTES;
    }
  }
  return { bytes, files: seen.size };
}

/** Removes what a volume holds. */
export function removeVolume(root: string, env: number, volume: Volume): void {
  for (const each of [volumeDir(root, env, volume), volumeImage(root, env, volume)])
    rmSync(each, { recursive: true, force: true });
}
