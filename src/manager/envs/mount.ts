import { realpathSync } from 'node:fs';
import { ByrefError } from '../../base/error.ts';
import { effectiveFlags, flagsOfOptions } from '../../base/mount-flags.ts';
import { unmount } from '../../driver/fuse/mount.ts';
import { type ControlClient, PeerGone } from '../../ipc/client.ts';
import { type EnvMount, envAt, envMounts } from '../../ipc/mount-table.ts';
import type { DriverVerbs, MountedEnv, MountRequest, Transport } from '../../ipc/protocol.ts';
import { closeToUsers, type EnvRow, mountDir, type Store, usersDir } from '../../store/store.ts';
import { attachEnv } from './attach.ts';
import { forgetAsleep } from './checkpoint/record.ts';
import { hasEnded } from './ended-mount.ts';
import { noteFirstMount } from './first-mount/setup.ts';
import { type Holding, holdingNamespaces } from './holding-namespaces.ts';
import { makeMountpoint } from './mountpoint.ts';
import { ensureServers } from './spawn.ts';
import type { EnvState } from './state.ts';
import { bury } from './umount.ts';
import { connectionUsers, describeUsers, type MountUser } from './users.ts';

/** Options of mountEnv(). */
export interface MountOptions {
  readonly transport: Transport;
  /** False: the driver handles all reads and writes itself. */
  readonly passthrough: boolean;
  /** The driver notes which program changes what: see writersOf(). This costs a look at the program for each change. */
  readonly trace: boolean;
  /** MS_* flags of mount(2). If not given: none, or those of what is mounted already. */
  readonly mountFlags?: number;
  /** Lets users of this machine look into the env; without it, the mount has to be where they can't reach it. */
  readonly allowUsers?: boolean;
  /** The absolute path to mount on; null: <root>/mnt/<name>, or <root>/users/<name> if users may look into it. */
  readonly at: string | null;
}

/** The options of `byref mount` without any. */
export const STANDARD_MOUNT: MountOptions = {
  transport: 'kernel',
  passthrough: true,
  trace: false,
  at: null,
};

/** The outcome of mountEnv(). */
export interface MountOutcome extends MountedEnv {
  /** True if it was mounted already, so that nothing was done. */
  readonly already: boolean;
}

/** How often the request is sent: a driver or holder that just ends because it is idle is started again. */
const ATTEMPTS = 3;

/**
 * Mounts an env; starts its driver and the holder if they don't run. Mounting twice is no error. The work of a first mount
 * is left to the caller: finishFirstMount().
 */
export async function mountEnv(
  store: Store,
  env: EnvState,
  options: MountOptions,
): Promise<MountOutcome> {
  const { row, state, served, mount } = env;
  if (state === 'mounted' && served && mount && isThere(store.root, env, options)) {
    closeToUsers(store.root);
    if (!isLike(mount, served, options)) throw otherwise(row, mount);
    return { ...served, already: true };
  }
  if (state === 'dead' && mount && (await hasEnded(store.root, mount))) {
    await bury(store.root, row, mount);
  } else if (state === 'detached' && served) {
    const again = await mountAgain(store, row, served, options);
    if (again !== null) return { ...again, already: false };
  } else if (state !== 'stopped') {
    throw inTheWay(row, state, mount?.mountpoint ?? served?.mountpoint ?? '');
  }
  const mountpoint = mountpointOf(store, row, options);
  forgetAsleep(store.root, row.id);
  await noteFirstMount(store.root, row.id);
  const { transport, passthrough, trace, mountFlags = 0 } = options;
  const request = { env: row.id, mountpoint, transport, passthrough, trace, mountFlags };
  const mounted = await ask(store.root, row, request);
  if (!envMounts(store.root).has(row.id)) throw otherNamespace(row);
  return { ...mounted, already: false };
}

const mountpointOf = (
  store: Store,
  row: EnvRow,
  { at, allowUsers = false }: MountOptions,
): string => makeMountpoint(store, row.name, { at, allowUsers });

/**
 * Mounts an env again that is still in use since its last unmount, or in another mount namespace; it comes back as it is.
 * Null if that use has just ended.
 */
async function mountAgain(
  store: Store,
  row: EnvRow,
  served: MountedEnv,
  options: MountOptions,
): Promise<MountedEnv | null> {
  const { transport, passthrough, trace, mountFlags = 0 } = options;
  const isOther = (!passthrough && served.passthrough) || (trace && !served.trace);
  if (served.transport !== 'kernel' || transport !== 'kernel' || isOther)
    throw stillInUse(store.root, served, 'with other settings');
  const again = await attachEnv(store, row, mountpointOf(store, row, options), mountFlags);
  if (again === null) return null;
  const mount = envMounts(store.root).get(row.id);
  // A read-only file system is so for all that have it. That is right only if nothing else was asked for.
  if (mount && !isLike(mount, again, options)) {
    unmount(again.mountpoint, true);
    throw stillInUse(store.root, served, `with the options ${mount.options}`);
  }
  return again;
}

/** True if the env is mounted at the place that is asked for. */
function isThere(root: string, { row, mount }: EnvState, options: MountOptions): boolean {
  const { at, allowUsers = false } = options;
  if (at === null) return mount?.mountpoint === (allowUsers ? usersDir : mountDir)(root, row.name);
  return (
    mount?.mountpoint === at || (envAt(root, at) === null && mount?.mountpoint === realPath(at))
  );
}

function realPath(place: string): string | null {
  try {
    return realpathSync(place);
  } catch {
    return null;
  }
}

/** True if the mount has the settings that are asked for, as far as any are. */
const isLike = (
  mount: EnvMount,
  served: MountedEnv,
  { trace, mountFlags }: MountOptions,
): boolean =>
  (served.trace || !trace) &&
  (mountFlags === undefined ||
    effectiveFlags(flagsOfOptions(mount.options)) === effectiveFlags(mountFlags));

function otherwise({ name }: EnvRow, { mountpoint, options }: EnvMount): ByrefError {
  const message = `${name} is mounted already, on ${mountpoint}, with other options: ${options}`;
  const hint = `Unmount it first (byref umount ${name}), or change those that can be: -o remount,...`;
  return new ByrefError('busy', message, hint);
}

async function ask(root: string, row: EnvRow, request: MountRequest): Promise<MountedEnv> {
  for (let attempt = 1; ; attempt++) {
    const servers = await ensureServers(root, [row.shard]);
    const driver = servers.drivers[0]!;
    try {
      if (attempt > 1) await buryLeft(root, row, driver);
      return await driver.call('mount', request);
    } catch (error) {
      if (!(error instanceof PeerGone) || attempt === ATTEMPTS) throw error;
    } finally {
      servers.close();
    }
  }
}

/** Unmounts what a driver left that died just after it had mounted the env: the next mount would lie on top of it. */
async function buryLeft(
  root: string,
  row: EnvRow,
  driver: ControlClient<DriverVerbs>,
): Promise<void> {
  const left = envMounts(root).get(row.id);
  if (left === undefined) return;
  const { envs } = await driver.call('status', null);
  // Another command has mounted it meanwhile.
  if (envs.some(({ env }) => env === row.id)) return;
  await bury(root, row, left);
}

function inTheWay(row: EnvRow, state: string, mountpoint: string): ByrefError {
  if (state === 'dead') {
    const message = `${row.name} is mounted on ${mountpoint}, but its driver is gone`;
    return new ByrefError('busy', message, `Clean up first: byref umount ${row.name}`);
  }
  const message = `${row.name} is mounted already, on ${mountpoint}`;
  return new ByrefError('busy', message, `Unmount it first: byref umount ${row.name}`);
}

function stillInUse(root: string, { env, name, connection }: MountedEnv, how: string): ByrefError {
  const holding = holdingNamespaces(root, env);
  const message = `${name} is still in use ${how}, ${holdersText(holding, connectionUsers(connection))}`;
  const hint = 'Mount it as it is, or end those first: it is unmounted when the last one lets go.';
  return new ByrefError('busy', message, hint);
}

function holdersText(holding: readonly Holding[], users: readonly MountUser[]): string {
  const who = holding.map(({ pid, command }) => `${command} (pid ${pid})`).join(', ');
  if (who !== '') return `in the namespace of ${who}`;
  return users.length > 0 ? `by ${describeUsers(users)}` : 'by programs since its last unmount';
}

function otherNamespace(row: EnvRow): ByrefError {
  const message = `${row.name} was mounted, but not in this mount namespace`;
  const hint = 'Its driver was started in another one: run byref there, or unmount all envs first.';
  return new ByrefError('busy', message, hint);
}
