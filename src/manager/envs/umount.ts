import { EBUSY, EINVAL, ENOENT } from '../../base/errno.ts';
import { ByrefError } from '../../base/error.ts';
import { MNT_DETACH, MNT_FORCE, UMOUNT_NOFOLLOW } from '../../base/mount-flags.ts';
import { PeerGone } from '../../ipc/client.ts';
import { type Cover, coverOf, type EnvMount, mountsBelow } from '../../ipc/mount-table.ts';
import { native } from '../../native/binding.ts';
import type { EnvRow, Store } from '../../store/store.ts';
import { DriverLinks } from './driver-links.ts';
import { type Holding, holdingNamespaces } from './holding-namespaces.ts';
import { findHolder } from './spawn.ts';
import type { EnvState } from './state.ts';
import { describeUsers, mountUsers } from './users.ts';

/**
 * How long an env may take to end before the command says what it waits for. An env that is detached lazily is waited for
 * no longer than this.
 */
const LAZY_WAIT_MS = 1_000;
/** How long to wait for a copy of the mount in another namespace. Most are soon let go of, by a program that is just starting. */
const HELD_WAIT_MS = Number(process.env['BYREF_HELD_WAIT_MS'] ?? 30_000);
/** How long the driver may take for the last checkpoint. */
const CLOSE_TIMEOUT_MS = 120_000;

/** The treatment of an env that is in use; without either option it is refused. */
export interface UmountOptions {
  /** Takes it out of the tree now; it ends when it is no longer used. */
  readonly lazy: boolean;
  /** Ends it now: programs that use it get errors. */
  readonly force: boolean;
}

/** The options of `byref umount` without any. */
export const STANDARD_UMOUNT: UmountOptions = { lazy: false, force: false };

/** unmounted: everything is closed. detached: out of the tree, but still in use. not-mounted: there was nothing to do. */
export type UmountOutcome = 'unmounted' | 'detached' | 'not-mounted';

/**
 * Called when an unmount takes more than a moment, with those who hold the env; with none if its driver is still working on
 * it.
 */
export type OnWait = (heldBy: readonly Holding[]) => void;

/**
 * Unmounts an env, and waits until its driver has closed it. If it is not mounted, that is no error. It is out of the tree
 * when the outer promise resolves, and closed when `ended` does, so that one can wait for many at once.
 */
export async function beginUmount(
  drivers: DriverLinks,
  { row, state, mount }: EnvState,
  options: UmountOptions,
  onWait: OnWait = () => undefined,
): Promise<{ readonly ended: Promise<UmountOutcome> }> {
  if (mount !== null && state === 'dead') await bury(drivers.root, row, mount);
  else if (mount !== null) detach(drivers.root, row, mount, options);
  else if (state === 'stopped') return { ended: Promise.resolve('not-mounted') };
  return { ended: end(drivers, row, mount === null || options.lazy, onWait) };
}

/** Unmounts an env with beginUmount(), and waits for the end. */
export async function umountEnv(
  store: Store,
  env: EnvState,
  options: UmountOptions,
): Promise<UmountOutcome> {
  const drivers = new DriverLinks(store.root);
  const { name } = env.row;
  const tell: OnWait = (heldBy) => {
    const who = heldBy.map(({ pid, command }) => `${command} (pid ${pid})`).join(', ');
    store.waiting.tell(
      who === '' ? `the driver of ${name} to close it` : `${who}, which has ${name}`,
    );
  };
  try {
    return await (await beginUmount(drivers, env, options, tell)).ended;
  } finally {
    await drivers.close();
  }
}

async function end(
  drivers: DriverLinks,
  row: EnvRow,
  briefly: boolean,
  onWait: OnWait,
): Promise<UmountOutcome> {
  if (await waitClosed(drivers, row, LAZY_WAIT_MS)) return 'unmounted';
  if (briefly) return 'detached';
  onWait(holdingNamespaces(drivers.root, row.id));
  if (await waitClosed(drivers, row, HELD_WAIT_MS)) return 'unmounted';
  // Only whoever made that namespace can end it: to wait for that would be to hang.
  if (holdingNamespaces(drivers.root, row.id).length > 0) return 'detached';
  return outcome(await waitClosed(drivers, row, CLOSE_TIMEOUT_MS));
}

const outcome = (closed: boolean): UmountOutcome => (closed ? 'unmounted' : 'detached');

function detach(root: string, row: EnvRow, mount: EnvMount, { lazy, force }: UmountOptions): void {
  const { mountpoint } = mount;
  const cover = coverOf(root, mount);
  if (cover !== null) throw covered(row, mountpoint, cover);
  const flags = force ? MNT_FORCE | MNT_DETACH : lazy ? MNT_DETACH : 0;
  const result = native.umount(mountpoint, UMOUNT_NOFOLLOW | flags);
  if (result === -EBUSY) throw busy(row, mountpoint);
  // The last two mean that somebody else was faster.
  if (result === 0 || result === -EINVAL || result === -ENOENT) return;
  const message = `umount of ${mountpoint} failed (errno ${-result})`;
  throw new ByrefError('error', message, 'Run byref as root; or try: byref umount --lazy');
}

/** By its path another mount would be unmounted, or another env's driver asked for what it does not have. */
function covered({ name }: EnvRow, mountpoint: string, cover: Cover): ByrefError {
  const { env, source } = cover;
  const what = env === null ? source : `env number ${env}`;
  const message = `${name} can't be unmounted: ${what} is mounted on ${cover.mountpoint}, over ${mountpoint}`;
  const hint =
    env === null
      ? `Unmount that first: umount ${cover.mountpoint}`
      : `Unmount that first: byref umount ${env}`;
  return new ByrefError('busy', message, hint);
}

/** Puts envs that are mounted over others before these, so that each is reached when its turn comes. */
export function topmostFirst(root: string, envs: readonly EnvState[]): EnvState[] {
  const left = new Map(envs.map((env) => [env.row.id, env]));
  const sorted: EnvState[] = [];
  const take = (env: EnvState): void => {
    if (!left.delete(env.row.id)) return;
    const over = env.mount === null ? null : coverOf(root, env.mount)?.env;
    const upper = left.get(over ?? -1);
    if (upper !== undefined) take(upper);
    sorted.push(env);
  };
  for (const env of envs) take(env);
  return sorted;
}

function busy(row: EnvRow, mountpoint: string): ByrefError {
  const below = mountsBelow(mountpoint);
  const users = mountUsers(mountpoint);
  const parts = [
    below.length > 0 ? `mounts below it: ${below.join(', ')}` : '',
    users.length > 0 ? `used by ${describeUsers(users)}` : '',
  ].filter((part) => part !== '');
  const who = parts.length > 0 ? `: ${parts.join('; ')}` : '';
  const hint = 'End those, or detach it with --lazy, or make them fail with --force.';
  return new ByrefError('busy', `${row.name} is in use${who}`, hint);
}

/**
 * Unmounts an env whose driver died. What waits in it for an answer gets an error once the last descriptor of its
 * connection, the holder's, is closed. Only then is it unmounted, so that nothing waits there.
 */
export async function bury(root: string, row: EnvRow, mount: EnvMount): Promise<void> {
  const holder = await findHolder(root);
  try {
    await holder?.call('drop', { env: row.id });
  } catch (error) {
    if (!(error instanceof PeerGone)) throw error;
  } finally {
    holder?.close();
  }
  detach(root, row, mount, { lazy: true, force: false });
}

/** True when the driver has nothing left of the env, or is gone itself. */
async function waitClosed(drivers: DriverLinks, row: EnvRow, timeoutMs: number): Promise<boolean> {
  const driver = await drivers.find(row.shard);
  try {
    await driver?.call('closed', { env: row.id }, timeoutMs);
    return true;
  } catch (error) {
    if (error instanceof PeerGone) return true;
    if (error instanceof ByrefError && error.code === 'locked') return false;
    throw error;
  }
}
