import { setTimeout as sleep } from 'node:timers/promises';
import { ByrefError } from '../base/error.ts';
import { driverWords } from '../ipc/driver-words.ts';
import { RECORDS_VERSION } from '../ipc/records-version.ts';
import { findDriver } from '../manager/envs/spawn.ts';
import type { Store } from '../store/store.ts';

/** A driver that another one has taken over from. */
export interface DriverUpgraded {
  readonly shard: number;
  /** The number of its envs. */
  readonly envs: number;
  /** The version of the driver before. */
  readonly from: string;
  readonly version: string;
  readonly pid: number;
}

const TAKES_OVER_MS = 30_000;
const POLL_MS = 10;

/**
 * Has each running driver leave its mounts to one that is started from this build.
 * @throws ByrefError 'unsupported' if a driver's mounts can't be gone on with by this build: they are left as they are
 */
export async function upgradeDrivers(store: Store): Promise<DriverUpgraded[]> {
  const upgraded: DriverUpgraded[] = [];
  for (let shard = 0; shard < store.shards; shard++) {
    const one = await upgradeDriver(store.root, shard);
    if (one !== null) upgraded.push(one);
  }
  return upgraded;
}

async function upgradeDriver(root: string, shard: number): Promise<DriverUpgraded | null> {
  const driver = await findDriver(root, shard);
  if (driver === null) return null;
  try {
    const before = await driver.call('status', null);
    const request = { records: RECORDS_VERSION, restart: driverWords(root, shard) };
    await driver.call('leave', request, TAKES_OVER_MS);
    if (before.envs.length === 0) return null;
    const { pid, version, envs } = await successor(root, shard, before.pid);
    return { shard, envs: envs.length, from: before.version, version, pid };
  } finally {
    driver.close();
  }
}

/** Returns the status of the driver that takes over. */
async function successor(root: string, shard: number, former: number) {
  const deadline = Date.now() + TAKES_OVER_MS;
  for (;;) {
    const driver = await findDriver(root, shard);
    const status = await driver?.call('status', null).catch(() => null);
    driver?.close();
    if (status && status.pid !== former) return status;
    if (Date.now() > deadline) {
      const message = `no driver has taken over shard ${shard}: its envs wait`;
      throw new ByrefError(
        'error',
        message,
        'See byref list, and the log of the shard in the run directory.',
      );
    }
    await sleep(POLL_MS);
  }
}
