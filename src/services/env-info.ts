import { existsSync } from 'node:fs';
import { readDelta } from '../driver/delta/read-delta.ts';
import type { Transport } from '../ipc/protocol.ts';
import { whyDead } from '../manager/envs/ended-mount.ts';
import { sizedText } from '../manager/envs/place-settings.ts';
import { BundleDir, type Ended } from '../manager/envs/runtime/bundle-dir.ts';
import { groupOf } from '../manager/envs/runtime/cgroups.ts';
import { type GroupPressure, groupPressure } from '../manager/envs/runtime/group-pressure.ts';
import { type GroupUsage, groupUsage } from '../manager/envs/runtime/group-usage.ts';
import { processesOf } from '../manager/envs/runtime/processes.ts';
import { settingsShown } from '../manager/envs/settings.ts';
import { findHolder } from '../manager/envs/spawn.ts';
import { type EnvState, envState } from '../manager/envs/state.ts';
import {
  type EnvSummary,
  type StackedTemplate,
  stackOf,
  summaryOf,
} from '../manager/envs/summary.ts';
import { type EnvUsage, envUsage } from '../manager/envs/usage.ts';
import type { Needs } from '../manager/recipes/build/needs.ts';
import { ownPackagesOf, type StaleReason } from '../manager/rollout/stale-packages.ts';
import { type EnvRow, envDir, type Store } from '../store/store.ts';
import { needsOfStack } from './template-needs.ts';

/** All that `byref info` shows, under the names of --json. Values that only a mounted env has are null if it is not mounted. */
export interface EnvInfo extends EnvSummary, EnvUsage {
  readonly stack: readonly StackedTemplate[];
  readonly mountedSince: string | null;
  readonly transport: Transport | null;
  readonly passthrough: boolean | null;
  readonly driverPid: number | null;
  readonly holderPid: number | null;
  /** Inodes that the env created or changed. */
  readonly inodes: number;
  /** Of these, the ones that it created or has a private copy of: those that limits.disk.inodes counts. */
  readonly privateInodes: number;
  /** Packages that differ from its templates'. */
  readonly packages: readonly OwnPackageInfo[];
  /** What is set for it, as byref set takes it. */
  readonly settings: Readonly<Record<string, string>>;
  /** Its volumes, as PATH or PATH:SIZE. */
  readonly volumes: readonly string[];
  /** What its templates say it needs; what of that it has are its settings. */
  readonly needs: Needs;
  /** Its processes; null if it does not run. */
  readonly running: RunningInfo | null;
  /** How its first process ended by itself, until it is started or stopped again; null if it did not. */
  readonly ended: Ended | null;
  /** Why nobody serves its mount, and what to do; null if its state is not "dead". */
  readonly dead: string | null;
  /** Why the env can only be read; null if it is not damaged. */
  readonly damage: string | null;
}

/** What a running env uses. */
export interface RunningInfo extends GroupUsage {
  /** When it was started. ISO 8601, UTC. */
  readonly since: string;
  readonly pressure: GroupPressure;
  /** The services that are set for it, and the machine's id of each; null while that does not run. */
  readonly services: readonly { readonly name: string; readonly pid: number | null }[];
}

/** A package that differs; a version is null on the side that does not have it. */
export interface OwnPackageInfo {
  readonly package: string;
  readonly own: string | null;
  readonly template: string | null;
  readonly why: StaleReason;
}

/** Collects what `byref info` shows of an env. */
export async function envInfo(store: Store, row: EnvRow): Promise<EnvInfo> {
  const state = await envState(store, row);
  const { served, driverPid } = state;
  const settings = store.settings(row.id);
  return {
    ...summaryOf(state),
    stack: stackOf(store, row),
    mountedSince: served?.since ?? null,
    transport: served?.transport ?? null,
    passthrough: served?.passthrough ?? null,
    driverPid,
    holderPid: await holderPid(store.root, row.id),
    dead: await deadText(store.root, state),
    ...envUsage(store, row),
    packages: (await ownPackagesOf(store, row)).map(({ env: _env, ...each }) => each),
    ...(await changes(envDir(store.root, row.id))),
    settings: settingsShown(settings),
    volumes: settings.volumes.map(sizedText),
    needs: needsOfStack(store, store.plainStack(row)),
    ...runningInfo(store, row, state.firstPid),
  };
}

function runningInfo(
  store: Store,
  { id }: EnvRow,
  first: number | null,
): Pick<EnvInfo, 'running' | 'ended'> {
  const bundle = new BundleDir(store.root, id);
  if (first === null) return { running: null, ended: bundle.endedByItself() };
  const since = new Date(bundle.note()?.startedMs ?? 0).toISOString();
  const services = servicesOf(first, Object.keys(store.settings(id).services).sort());
  const group = groupOf(store.root, id);
  const pressure = groupPressure(group);
  return { running: { since, services, ...groupUsage(group), pressure }, ended: null };
}

/** A service is what the first process is the parent of. */
function servicesOf(first: number, names: readonly string[]): RunningInfo['services'] {
  const processes = names.length === 0 ? [] : processesOf(first);
  const pidOf = (name: string): number | null =>
    processes.find(({ service, parent }) => service === name && parent === first)?.pid ?? null;
  return names.map((name) => ({ name, pid: pidOf(name) }));
}

async function changes(
  directory: string,
): Promise<Pick<EnvInfo, 'inodes' | 'privateInodes' | 'damage'>> {
  if (!existsSync(directory)) return { inodes: 0, privateInodes: 0, damage: null };
  const view = await readDelta(directory);
  try {
    const { inodes, privateInodes } = view.usage();
    return { inodes, privateInodes, damage: view.damage };
  } finally {
    await view.close();
  }
}

async function deadText(root: string, { row, state, mount }: EnvState): Promise<string | null> {
  return state === 'dead' && mount !== null ? whyDead(root, row.name, mount) : null;
}

/** Returns the pid of the holder; null if none holds the env's device. */
async function holderPid(root: string, env: number): Promise<number | null> {
  const holder = await findHolder(root);
  if (!holder) return null;
  try {
    const { pid, devices } = await holder.call('status', null);
    return devices.some((device) => device.env === env) ? pid : null;
  } finally {
    holder.close();
  }
}
