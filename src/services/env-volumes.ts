/** Gives volumes to envs, and takes them away. */
import { ByrefError } from '../base/error.ts';
import { failpoint } from '../base/failpoints.ts';
import type { Volume } from '../codec/env-settings.ts';
import { STANDARD_MOUNT } from '../manager/envs/mount.ts';
import { placeInside, volumeOf, withVolumes } from '../manager/envs/place-settings.ts';
import { lockLifeCycle } from '../manager/envs/runtime/life-cycle.ts';
import { envState } from '../manager/envs/state.ts';
import { STANDARD_UMOUNT, umountEnv } from '../manager/envs/umount.ts';
import {
  fillVolume,
  hasContent,
  removeVolume,
  volumeDir,
  volumeImage,
} from '../manager/envs/volumes.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { mountAndSetUp } from './mount-env.ts';
import type { StartHooks } from './start-env.ts';

/** A volume of an env. */
export interface VolumeInfo {
  readonly env: string;
  /** Absolute, in the env. */
  readonly path: string;
  /** What it holds at most; null: what the disk has room for. */
  readonly sizeBytes: number | null;
  /** Its directory on the machine; of one with a size, the file with its file system. */
  readonly directory: string;
}

/**
 * Gives a volume to an env that does not run, with what the env has at its path. The env sees it from its next start on; one with a
 * size is made then. The store is open for writing.
 * @param wanted PATH, or PATH:SIZE
 * @throws ByrefError 'usage', 'exists', 'busy', and as fillVolume()
 */
export async function addVolume(
  store: Store,
  row: EnvRow,
  wanted: string,
  hooks: StartHooks,
): Promise<VolumeInfo> {
  const asked = volumeOf(wanted);
  return whileStopped(store, row, hooks, async () => {
    const after = withVolumes(store.settings(row.id), [asked]);
    const volume = after.volumes.at(-1)!;
    if (volume.sizeBytes === null) await fill(store, row, volume, hooks);
    failpoint('volume-filled');
    store.putSettings(row.id, after);
    return shown(store, row, volume);
  });
}

async function fill(
  store: Store,
  row: EnvRow,
  volume: Volume,
  { note }: StartHooks,
): Promise<void> {
  const mounted = await mountAndSetUp(store, await envState(store, row), STANDARD_MOUNT, note);
  try {
    await fillVolume(store.root, row.id, volume, mounted.mountpoint);
  } finally {
    if (!mounted.already) await umountEnv(store, await envState(store, row), STANDARD_UMOUNT);
  }
}

/** Lists the volumes of an env. */
export const listVolumes = (store: Store, row: EnvRow): VolumeInfo[] =>
  store.settings(row.id).volumes.map((volume) => shown(store, row, volume));

/**
 * Takes a volume from an env that does not run. The env has at its path what it had before.
 * @param force also what the volume holds
 * @throws ByrefError 'notFound', 'busy' if it holds anything
 */
export async function takeVolume(
  store: Store,
  row: EnvRow,
  wanted: string,
  force: boolean,
  hooks: StartHooks,
): Promise<VolumeInfo> {
  const at = placeInside('volume', wanted);
  return whileStopped(store, row, hooks, () => {
    const settings = store.settings(row.id);
    const volume = settings.volumes.find((each) => each.path === at);
    if (volume === undefined) {
      const message = `${row.name} has no volume at ${at}`;
      throw new ByrefError('notFound', message, `See: byref volume list ${row.name}`);
    }
    if (!force && hasContent(store.root, row.id, volume)) {
      const message = `the volume at ${at} holds something: ${shown(store, row, volume).directory}`;
      throw new ByrefError('busy', message, 'Copy what is needed, then give it up with --force.');
    }
    const volumes = settings.volumes.filter((each) => each !== volume);
    store.putSettings(row.id, { ...settings, volumes });
    failpoint('volume-taken');
    removeVolume(store.root, row.id, volume);
    return shown(store, row, volume);
  });
}

async function whileStopped<T>(
  store: Store,
  row: EnvRow,
  { patience }: StartHooks,
  work: () => T | Promise<T>,
): Promise<T> {
  const lock = await lockLifeCycle(store.root, row, patience);
  try {
    const { firstPid } = await envState(store, row);
    if (firstPid === null) return await work();
    const hint = `Stop it first: byref stop ${row.name}`;
    throw new ByrefError('busy', `${row.name} is running`, hint);
  } finally {
    lock.release();
  }
}

const shown = (store: Store, row: EnvRow, volume: Volume): VolumeInfo => ({
  env: row.name,
  path: volume.path,
  sizeBytes: volume.sizeBytes,
  directory: (volume.sizeBytes === null ? volumeDir : volumeImage)(store.root, row.id, volume),
});
