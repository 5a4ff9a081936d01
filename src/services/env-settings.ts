import { isDeepStrictEqual } from 'node:util';
import { procText } from '../base/proc.ts';
import type { EnvLimits, EnvSettings } from '../codec/env-settings.ts';
import { refuseBinds } from '../manager/envs/binds.ts';
import { devicesOf } from '../manager/envs/devices.ts';
import { tellDiskLimits } from '../manager/envs/disk-limits.ts';
import { limitNetwork } from '../manager/envs/network/attach-network.ts';
import type { RateLimits } from '../manager/envs/network/shape.ts';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import { groupOf } from '../manager/envs/runtime/cgroups.ts';
import { changeIo, disksOfEnvs, ioNotes } from '../manager/envs/runtime/io-limits.ts';
import { lockLifeCycle } from '../manager/envs/runtime/life-cycle.ts';
import { changedResources } from '../manager/envs/runtime/oci-config.ts';
import { updateEnv } from '../manager/envs/runtime/runtime-program.ts';
import { settingsShown, withSetting } from '../manager/envs/settings.ts';
import type { Patience } from '../store/patience.ts';
import type { EnvRow, Store } from '../store/store.ts';

/** The settings of an env after a change. */
export interface SettingsChanged {
  readonly env: number;
  readonly name: string;
  /** The keys that are set, with their values. */
  readonly settings: Readonly<Record<string, string>>;
  /** Keys that count from the next start on. */
  readonly atNextStart: readonly string[];
  /** Sentences about limits that this machine does not enforce as they are. */
  readonly notes: readonly string[];
}

/**
 * Changes settings of an env, each given as KEY=VALUE. Limits of a running env change at once.
 * @throws ByrefError 'usage', with nothing changed; 'unsupported' if the machine refuses a limit, which is kept all the same
 */
export async function changeSettings(
  store: Store,
  row: EnvRow,
  assignments: readonly string[],
  patience: Patience,
): Promise<SettingsChanged> {
  const before = store.settings(row.id);
  const after = assignments.reduce(withSetting, before);
  if (!isDeepStrictEqual(before.binds, after.binds)) refuseBinds(store.root, after);
  if (!isDeepStrictEqual(before.devices, after.devices)) devicesOf(store.root, after);
  store.putSettings(row.id, after);
  const bundle = new BundleDir(store.root, row.id);
  const runs = bundle.firstProcess() !== null;
  if (runs && JSON.stringify(before.limits) !== JSON.stringify(after.limits)) {
    const all = procText('/sys/devices/system/cpu/online').trim();
    await updateEnv(bundle, changedResources(before.limits, after.limits, all));
    // The runtime has just set what it knows from the start.
    changeIo(store.root, groupOf(store.root, row.id), before.limits, after.limits);
  }
  // Also where nothing changed: a command that was killed here may have changed it.
  if (assignments.some(isOfDisk)) await tellDiskLimits(store.root, row);
  if (runs && !isSameRate(before.limits, after.limits))
    await limitRunning(store.root, row, after.limits, patience);
  return {
    env: row.id,
    name: row.name,
    settings: settingsShown(after),
    atNextStart: runs ? laterKeys(before, after) : [],
    notes: ioNotes(changedIo(before.limits, after.limits), disksOfEnvs(store.root)),
  };
}

/** Returns the limits of input and output that are new. */
function changedIo(before: EnvLimits, after: EnvLimits): EnvLimits {
  const isSame = (field: 'ioRead' | 'ioWrite' | 'ioWeight'): boolean =>
    JSON.stringify(before[field]) === JSON.stringify(after[field]);
  return {
    ...after,
    ...(isSame('ioRead') && { ioRead: null }),
    ...(isSame('ioWrite') && { ioWrite: null }),
    ...(isSame('ioWeight') && { ioWeight: null }),
  };
}

/** Returns true for an assignment to limits.disk, limits.disk.inodes, or another name of these. */
const isOfDisk = (assignment: string): boolean => /^(?:limits[.])?disk/.test(assignment);

const isSameRate = (a: RateLimits, b: RateLimits): boolean =>
  a.ingressBytes === b.ingressBytes && a.egressBytes === b.egressBytes;

/** Under the lock, so that the env does not go meanwhile. */
async function limitRunning(
  root: string,
  row: EnvRow,
  limits: RateLimits,
  patience: Patience,
): Promise<void> {
  const lock = await lockLifeCycle(root, row, patience);
  try {
    const bundle = new BundleDir(root, row.id);
    if (bundle.firstProcess() !== null) await limitNetwork(bundle, limits);
  } finally {
    lock.release();
  }
}

function laterKeys(before: EnvSettings, after: EnvSettings): string[] {
  const [old, now] = [settingsShown(before), settingsShown(after)];
  const keys = new Set([...Object.keys(old), ...Object.keys(now)]);
  return [...keys].filter((key) => !AT_ONCE.test(key) && old[key] !== now[key]);
}

/** Keys that a running env's start has nothing to do with. */
const AT_ONCE = /^(?:limits[.]|boot[.]|restart$|health$)/;
