import { EBUSY, EINVAL, ENOENT } from '../../base/errno.ts';
import { ByrefError } from '../../base/error.ts';
import { PeerGone } from '../../ipc/client.ts';
import { type EnvMount, mountsBelow } from '../../ipc/mount-table.ts';
import { native } from '../../native/binding.ts';
import type { EnvRow, Store } from '../../store/store.ts';
import { DriverLinks } from './driver-links.ts';
import { type Holding, holdingNamespaces } from './holding-namespaces.ts';
import { findHolder } from './spawn.ts';
import type { EnvState } from './state.ts';
import { describeUsers, mountUsers } from './users.ts';

const MNT_FORCE = 1;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

/** How long an env may take to end before the command says what it waits for; or, of a lazily detached one, returns without it. */
const LAZY_WAIT_MS = 1_000;
/** How long a copy of the mount in another namespace is waited for: most are let go of by whoever is just starting there. */
const HELD_WAIT_MS = Number(process.env['BYREF_HELD_WAIT_MS'] ?? 30_000);
/** How long the driver may take for the last checkpoint. */
const CLOSE_TIMEOUT_MS = 120_000;

export interface UmountOptions {
  /** Take it out of the tree now; it ends when nobody uses it any more. */
  readonly lazy: boolean;
  /** End it now: programs that use it get errors. */
  readonly force: boolean;
}

/** unmounted: all is closed. detached: out of the tree, still in use. not-mounted: nothing to do. */
export type UmountOutcome = 'unmounted' | 'detached' | 'not-mounted';

/** Hears what an unmount waits for, if it takes more than a moment: who has the env; nobody, if its driver is at it. */
export type OnWait = (heldBy: readonly Holding[]) => void;

/**
 * Unmounts an env, and waits until its driver has closed it. One that is not mounted is no error. Out of the tree when the
 * first promise resolves, closed when the second one does: so that many can be waited for at once.
 */
export async function beginUmount(
  drivers: DriverLinks,
  { row, state, mount }: EnvState,
  options: UmountOptions,
  onWait: OnWait = () => undefined,
): Promise<{ readonly ended: Promise<UmountOutcome> }> {
  if (mount !== null && state === 'dead') await bury(drivers.root, row, mount);
  else if (mount !== null) detach(row, mount, options);
  else if (state === 'stopped') return { ended: Promise.resolve('not-mounted') };
  return { ended: end(drivers, row, mount === null || options.lazy, onWait) };
}

/** beginUmount(), to its end. */
export async function umountEnv(
  store: Store,
  env: EnvState,
  options: UmountOptions,
): Promise<UmountOutcome> {
  const drivers = new DriverLinks(store.root);
  try {
    return await (await beginUmount(drivers, env, options)).ended;
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
  // Only who made that namespace can end it: to wait for that would be to hang.
  if (holdingNamespaces(drivers.root, row.id).length > 0) return 'detached';
  return outcome(await waitClosed(drivers, row, CLOSE_TIMEOUT_MS));
}

const outcome = (closed: boolean): UmountOutcome => (closed ? 'unmounted' : 'detached');

function detach(
  row: EnvRow,
  { mountpoint }: Pick<EnvMount, 'mountpoint'>,
  { lazy, force }: UmountOptions,
): void {
  const flags = force ? MNT_FORCE | MNT_DETACH : lazy ? MNT_DETACH : 0;
  const result = native.umount(mountpoint, UMOUNT_NOFOLLOW | flags);
  if (result === -EBUSY) throw busy(row, mountpoint);
  // Somebody else was faster.
  if (result === 0 || result === -EINVAL || result === -ENOENT) return;
  const message = `umount of ${mountpoint} failed (errno ${-result})`;
  throw new ByrefError('error', message, 'run byref as root; or try: byref umount --lazy');
}

function busy(row: EnvRow, mountpoint: string): ByrefError {
  const below = mountsBelow(mountpoint);
  const users = mountUsers(mountpoint);
  const parts = [
    below.length > 0 ? `mounts below it: ${below.join(', ')}` : '',
    users.length > 0 ? `used by ${describeUsers(users)}` : '',
  ].filter((part) => part !== '');
  const who = parts.length > 0 ? `: ${parts.join('; ')}` : '';
  const hint = 'end those, or detach it with --lazy, or make them fail with --force';
  return new ByrefError('busy', `${row.name} is in use${who}`, hint);
}

/**
 * The mount of a driver that died: what waits in it for an answer gets an error once the last descriptor of
 * its connection, the holder's, is closed. Only then is it unmounted, so that nothing waits there.
 */
async function bury(root: string, row: EnvRow, { mountpoint }: EnvMount): Promise<void> {
  const holder = await findHolder(root);
  try {
    await holder?.call('drop', { env: row.id });
  } catch (error) {
    if (!(error instanceof PeerGone)) throw error;
  } finally {
    holder?.close();
  }
  detach(row, { mountpoint }, { lazy: true, force: false });
}

/** True when the driver has nothing of the env any more, or is gone itself. */
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
