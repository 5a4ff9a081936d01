/** Mounts envs, and finishes what is to be done when one is first mounted. */
import type { EnvSettings } from '../codec/env-settings.ts';
import { lostDir, lostFiles } from '../driver/delta/lost-files.ts';
import { envMounts } from '../ipc/mount-table.ts';
import { hostnameOf } from '../manager/envs/first-mount/identity.ts';
import { hasSetup, readSetup } from '../manager/envs/first-mount/setup.ts';
import {
  isSystem,
  keepFiles,
  keepHostname,
  machineNetwork,
} from '../manager/envs/managed-files.ts';
import { type MountOptions, type MountOutcome, mountEnv } from '../manager/envs/mount.ts';
import type { SetUpLeft } from '../manager/envs/runtime/start-processes.ts';
import { ensureServers, type Servers } from '../manager/envs/spawn.ts';
import type { EnvState } from '../manager/envs/state.ts';
import { type EnvRow, envDir, type Store } from '../store/store.ts';

/**
 * Mounts an env. If this is its first mount, or an earlier one was cut short, its setup is finished before this returns.
 * @param note is called with remarks about the setup, in sentences
 * @throws ByrefError as mountEnv()
 */
export async function mountAndSetUp(
  store: Store,
  env: EnvState,
  options: MountOptions,
  note: (text: string) => void,
): Promise<MountOutcome> {
  const mounted = await mountEnv(store, env, options);
  await setUp(store, env.row, mounted, note);
  return mounted;
}

/**
 * Returns what is left of an env's first mount if that can be done while the env is started: if nothing of what was told decides what is
 * started. Null if it can't, or if nothing is left.
 */
export function setUpLeft(
  { root }: Store,
  row: EnvRow,
  mounted: Pick<MountOutcome, 'mountpoint'>,
  settings: EnvSettings,
  note: (text: string) => void,
): SetUpLeft | null {
  const setup = hasSetup(root, row.id) ? readSetup(root, row.id) : null;
  if (setup === null || setup.files.length > 0 || setup.runOnce.length > 0) return null;
  // A volume begins with what the env has at its place.
  if (settings.volumes.length > 0 || !isSystem(mounted.mountpoint)) return null;
  const hostname = setup.hostname ?? hostnameOf(row.name);
  return { hostname, finish: () => setUp({ root }, row, mounted, note) };
}

/** Finishes an env's first mount, if something of it is left. @throws ByrefError as finishFirstMount() */
export async function setUp(
  { root }: Pick<Store, 'root'>,
  row: EnvRow,
  { mountpoint }: Pick<MountOutcome, 'mountpoint'>,
  note: (text: string) => void,
): Promise<void> {
  if (!hasSetup(root, row.id)) return;
  // Loaded only now: most mounts are no first ones.
  const { finishFirstMount } = await import('../manager/envs/first-mount/first-mount.ts');
  const options = envMounts(root).get(row.id)?.options ?? '';
  await finishFirstMount(root, row, mountpoint, options, note);
}

/** Mounts an env in which nothing is to be started; programs in a chroot find the machine's network. @throws as mountAndSetUp() */
export async function mountToUse(
  store: Store,
  env: EnvState,
  options: MountOptions,
  note: (text: string) => void,
): Promise<MountOutcome> {
  const mounted = await mountAndSetUp(store, env, options, note);
  if (mounted.already) return mounted;
  const mount = envMounts(store.root).get(env.row.id);
  if (mount !== undefined) keepMachineFiles(store, env.row, mount, note);
  tellLosses(store, env.row, mounted, note);
  return mounted;
}

/** Says if the env could be opened read-only only, and if there are files of it that no name leads to. */
export function tellLosses(
  { root }: Store,
  { id, name }: EnvRow,
  { damage }: Pick<MountOutcome, 'damage'>,
  note: (text: string) => void,
): void {
  if (damage !== null)
    note(`${name} can only be read: ${damage}. byref fsck says what can be done.`);
  const directory = envDir(root, id);
  // Parts of the journal are there, too.
  const { length } = lostFiles(directory).filter(({ ino }) => ino !== null);
  if (length === 0) return;
  const files = length === 1 ? 'a file of it is' : `${length} files of it are`;
  note(`${name} has lost names: ${files} in ${lostDir(directory)}. byref fsck says which.`);
}

/** True for the options of a mount that can't be written to. */
export const isReadOnly = (options: string): boolean => options.split(',').includes('ro');

/** Brings the files of an env that does not run up to date with the machine's network, which programs in a chroot have. */
export function keepMachineFiles(
  store: Store,
  env: EnvRow,
  { mountpoint, options }: { readonly mountpoint: string; readonly options: string },
  note: (text: string) => void,
): void {
  if (isReadOnly(options)) return;
  const files = store.settings(env.id).managedFiles;
  const kept = { root: store.root, env, mountpoint, files, note };
  keepHostname(kept);
  keepFiles(kept, machineNetwork());
}

/** Has the servers of all shards started, for an env that is to be mounted soon; it need not wait for Node then. @returns lets them end */
export function readyServers({ root, shards }: Pick<Store, 'root' | 'shards'>): () => void {
  const numbers = Array.from({ length: shards }, (_, shard) => shard);
  const servers = ensureServers(root, numbers).catch(() => null);
  return () => void servers.then((started) => started?.close());
}

/**
 * Starts the servers of several envs at once, each of them once. If one can't start, each of its envs reports why.
 * @returns connections that keep them from ending; null if there is at most one env to mount
 */
export async function startServers(
  root: string,
  envs: readonly EnvState[],
): Promise<Servers | null> {
  const stopped = envs.filter(({ state }) => state === 'stopped');
  if (stopped.length < 2) return null;
  const shards = new Set(stopped.map(({ row }) => row.shard));
  return ensureServers(root, [...shards]).catch(() => null);
}
