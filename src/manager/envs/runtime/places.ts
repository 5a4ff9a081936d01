/** Prepares what an env has beside its root: its volumes, and binds of the machine. */
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { failpoint } from '../../../base/failpoints.ts';
import { MNT_DETACH, UMOUNT_NOFOLLOW } from '../../../base/mount-flags.ts';
import type { EnvSettings, Volume } from '../../../codec/env-settings.ts';
import { native } from '../../../native/binding.ts';
import { realOf, refuseBinds } from '../binds.ts';
import { copyTree } from '../copy-tree.ts';
import { emptyImage, makeImage, mountImage } from '../volume-image.ts';
import { contentInside, fillVolume, volumeDir, volumeImage } from '../volumes.ts';
import type { BundleDir } from './bundle-dir.ts';
import type { ShownPlace } from './oci-config.ts';

/** What is mounted in the bundle for the env. */
export interface MountedPlace {
  /** On the machine. */
  readonly source: string;
  /** In the bundle. */
  readonly place: string;
  /** Whose ids its files have there: the env's; the env's, if its file system can show them so; or the machine's, as they are. */
  readonly ids: 'env' | 'env-if-can-be' | 'machine';
}

/** One of these that is also seen in the env. */
export interface Place extends ShownPlace, MountedPlace {}

/** What is the env's alone. */
const OWN = { readOnly: false, isDevice: false, ids: 'env' } as const;

/** An env whose places are prepared. */
export interface PlacesOf {
  readonly root: string;
  readonly env: number;
  readonly mountpoint: string;
  readonly bundle: BundleDir;
  readonly settings: EnvSettings;
}

/** Prepares them; a volume that was never used gets what the env has at its path. @throws ByrefError */
export async function preparePlaces(request: PlacesOf): Promise<Place[]> {
  const { root, bundle, settings } = request;
  refuseBinds(root, settings);
  const places: Place[] = [];
  for (const volume of settings.volumes) {
    const source = await sourceOf(request, volume);
    const place = bundle.makePlace('volumes', String(volume.id));
    places.push({ source, place, path: volume.path, ...OWN });
  }
  for (const [i, bind] of settings.binds.entries()) {
    const source = realOf(bind.source);
    const place = bundle.makePlace('binds', String(i), statSync(source).isDirectory());
    const { path: at, readOnly } = bind;
    places.push({ source, place, path: at, readOnly, isDevice: false, ids: 'env-if-can-be' });
  }
  return places;
}

/** Unmounts what was mounted only for the runtime to find it. */
export function releasePassing(bundle: BundleDir): void {
  for (const at of bundle.passing()) native.umount(at, MNT_DETACH | UMOUNT_NOFOLLOW);
}

async function sourceOf(request: PlacesOf, volume: Volume): Promise<string> {
  const { root, env, mountpoint } = request;
  if (volume.sizeBytes !== null) return diskOf(request, volume, volume.sizeBytes);
  const directory = volumeDir(root, env, volume);
  if (!existsSync(directory)) await fillVolume(root, env, volume, mountpoint);
  return directory;
}

async function diskOf(
  { root, env, mountpoint, bundle }: PlacesOf,
  volume: Volume,
  sizeBytes: number,
): Promise<string> {
  const file = volumeImage(root, env, volume);
  const at = bundle.makePlace('disks', String(volume.id));
  if (existsSync(file)) {
    await mountImage(file, at);
    return at;
  }
  const part = `${file}.part`;
  mkdirSync(path.dirname(file), { recursive: true });
  rmSync(part, { force: true });
  const content = contentInside(mountpoint, volume);
  await makeImage(part, sizeBytes);
  await mountImage(part, at);
  emptyImage(at);
  const words = content === null ? [] : ['-T', '--', content, at];
  await copyTree('what the volume is to hold', words, at);
  failpoint('volume-image-filled');
  renameSync(part, file);
  return at;
}
