import { existsSync } from 'node:fs';
import { type EnvMount, envMounts } from '../../ipc/mount-table.ts';
import type { DriverStatus, MountedEnv } from '../../ipc/protocol.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';
import { addressOf } from './network/attach-network.ts';
import { BundleDir, bundleIds } from './runtime/bundle-dir.ts';
import { isFrozen } from './runtime/freezer.ts';
import { snapshotName } from './snapshots.ts';
import { findDriver } from './spawn.ts';

/**
 * The state of an env. stopped: not mounted. mounted: mounted, and its driver serves it. dead: mounted, but
 * its driver is gone; `umount` cleans up. detached: served, but not, or no longer, mounted in this mount namespace.
 */
export type State = 'stopped' | 'mounted' | 'dead' | 'detached';

/** Facts about one env that can be had without looking into it. */
export interface EnvState {
  readonly row: EnvRow;
  readonly state: State;
  /** Its mount; null if it is not mounted in this mount namespace. */
  readonly mount: EnvMount | null;
  /** The driver's report on it; null if the driver does not serve it. */
  readonly served: MountedEnv | null;
  readonly driverPid: number | null;
  /** The pid of its first process; null if it does not run. */
  readonly firstPid: number | null;
  /** True if its processes stand still: byref freeze. */
  readonly frozen: boolean;
  /** Its address on the machine's bridge; null if it has none, or does not run. */
  readonly address: string | null;
  /** True if nothing of the machine is kept from its root user. */
  readonly privileged: boolean;
  /** The names of its snapshots, oldest first. */
  readonly snapshots: readonly string[];
}

/** The part of an env's state that its bundle tells. */
type RunState = Pick<EnvState, 'firstPid' | 'address' | 'frozen'>;

const NOT_RUNNING: RunState = { firstPid: null, address: null, frozen: false };

function runStateOf(root: string, env: number): RunState {
  const bundle = new BundleDir(root, env);
  const firstPid = bundle.firstProcess();
  if (firstPid === null) return NOT_RUNNING;
  return { firstPid, address: addressOf(bundle), frozen: isFrozen(root, env) };
}

/** How long a driver may take to say what it serves before it counts as hung, but alive. */
const STATUS_TIMEOUT_MS = 3_000;

/** Returns the states of `rows`, with one look at the kernel's mounts and one question to each driver. */
export async function envStates(store: Store, rows: readonly EnvRow[]): Promise<EnvState[]> {
  const mounts = envMounts(store.root);
  const shards = [...new Set(rows.map(({ shard }) => shard))];
  const drivers = new Map(
    await Promise.all(
      shards.map(async (shard) => [shard, await driverStatus(store.root, shard)] as const),
    ),
  );
  const served = new Map<number, MountedEnv>();
  for (const driver of drivers.values())
    if (driver !== null && driver !== 'hung')
      for (const env of driver.envs) served.set(env.env, env);
  const begun = new Set(bundleIds(store.root));
  const snapshots = rows.length > 1 ? store.snapshotNames() : null;
  return rows.map((row) => ({
    ...mountState(
      row,
      mounts.get(row.id) ?? null,
      drivers.get(row.shard) ?? null,
      served.get(row.id) ?? null,
    ),
    ...(begun.has(row.id) ? runStateOf(store.root, row.id) : NOT_RUNNING),
    privileged: store.settings(row.id).privileged,
    snapshots: snapshots === null ? namesOf(store, row) : (snapshots.get(row.id) ?? []),
  }));
}

const namesOf = (store: Store, { id }: EnvRow): string[] => store.snapshots(id).map(snapshotName);

/** Returns the state of one env; for several, envStates() costs less. */
export async function envState(store: Store, row: EnvRow): Promise<EnvState> {
  const { root } = store;
  // It was never mounted, so that there is nothing to ask a driver about.
  if (!existsSync(envDir(root, row.id)) && !envMounts(root).has(row.id)) {
    const { privileged } = store.settings(row.id);
    const state = mountState(row, null, null, null);
    return { ...state, ...NOT_RUNNING, privileged, snapshots: namesOf(store, row) };
  }
  const [state] = await envStates(store, [row]);
  return state!;
}

/** Asks a driver for its status. null: no driver runs; 'hung': one runs and does not answer. */
async function driverStatus(root: string, shard: number): Promise<DriverStatus | 'hung' | null> {
  // One that was just killed may be connected to; then its successor is to be found.
  for (let tries = 0; tries < 2; tries++) {
    const client = await findDriver(root, shard);
    if (!client) return null;
    try {
      return await client.call('status', null, STATUS_TIMEOUT_MS);
    } catch {
      if (!client.gone) return 'hung';
    } finally {
      client.close();
    }
  }
  return null;
}

function mountState(
  row: EnvRow,
  mount: EnvMount | null,
  driver: DriverStatus | 'hung' | null,
  served: MountedEnv | null,
): Omit<EnvState, keyof RunState | 'privileged' | 'snapshots'> {
  if (driver === 'hung') {
    const state = mount ? 'mounted' : 'stopped';
    return { row, state, mount, served: null, driverPid: null };
  }
  const driverPid = served === null ? null : (driver?.pid ?? null);
  return { row, state: nameState(mount !== null, served !== null), mount, served, driverPid };
}

function nameState(mounted: boolean, served: boolean): State {
  if (mounted) return served ? 'mounted' : 'dead';
  return served ? 'detached' : 'stopped';
}
