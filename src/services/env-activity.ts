/** Measures what running envs do, from two looks at their control groups. */
import { setTimeout as sleep } from 'node:timers/promises';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import { groupOf } from '../manager/envs/runtime/cgroups.ts';
import { type GroupPressure, groupPressure } from '../manager/envs/runtime/group-pressure.ts';
import { type GroupUsage, groupUsage } from '../manager/envs/runtime/group-usage.ts';
import { peoplesEnvs } from '../manager/sandbox/owner.ts';
import type { EnvRow, Store } from '../store/store.ts';

/** What an env does. A value is null if the machine does not count it. */
export interface EnvActivity {
  readonly env: number;
  readonly name: string;
  /** In percent of one processor. */
  readonly cpuPercent: number | null;
  /** Page cache included. */
  readonly memoryBytes: number | null;
  readonly processes: number | null;
  /** What it has disks read and write, in bytes a second. */
  readonly readBytesPerSecond: number | null;
  readonly writtenBytesPerSecond: number | null;
  readonly pressure: GroupPressure;
}

/** One look at the envs that run, by id. */
export type Looks = ReadonlyMap<number, Look>;

interface Look {
  readonly name: string;
  readonly firstPid: number;
  readonly usage: GroupUsage;
  readonly pressure: GroupPressure;
  /** Milliseconds, of a clock that never goes back. */
  readonly atMs: number;
}

const MS = 1000;
const PERCENT = 100;

/** Looks at envs; those that do not run are left out. @param rows null: all envs that people made */
export function lookAt(store: Store, rows: readonly EnvRow[] | null): Looks {
  const looks = new Map<number, Look>();
  for (const { id, name } of rows ?? peoplesEnvs(store)) {
    const firstPid = new BundleDir(store.root, id).firstProcess();
    if (firstPid === null) continue;
    const group = groupOf(store.root, id);
    const atMs = performance.now();
    looks.set(id, {
      name,
      firstPid,
      usage: groupUsage(group),
      pressure: groupPressure(group),
      atMs,
    });
  }
  return looks;
}

/** Returns what envs did between two looks, the busiest first. One that was not there before, or was started again, is left out. */
export function activityBetween(before: Looks, after: Looks): EnvActivity[] {
  const all = [...after].flatMap(([env, now]) => {
    const then = before.get(env);
    return then?.firstPid === now.firstPid ? [activityOf(env, then, now)] : [];
  });
  return all.sort((a, b) => (b.cpuPercent ?? 0) - (a.cpuPercent ?? 0) || a.env - b.env);
}

function activityOf(env: number, then: Look, now: Look): EnvActivity {
  const seconds = (now.atMs - then.atMs) / MS;
  const perSecond = (name: 'cpuMs' | 'readBytes' | 'writtenBytes'): number | null => {
    const [was, is] = [then.usage[name], now.usage[name]];
    return was === null || is === null ? null : (is - was) / seconds;
  };
  const cpuMs = perSecond('cpuMs');
  return {
    env,
    name: now.name,
    cpuPercent: cpuMs === null ? null : round((cpuMs / MS) * PERCENT, 1),
    memoryBytes: now.usage.memoryBytes,
    processes: now.usage.processes,
    readBytesPerSecond: round(perSecond('readBytes'), 0),
    writtenBytesPerSecond: round(perSecond('writtenBytes'), 0),
    pressure: now.pressure,
  };
}

const round = (value: number | null, digits: number): number | null =>
  value === null ? null : Number(value.toFixed(digits));

/**
 * Yields what envs do, again and again: each time what they did since the last one.
 * @param look opens the store for a look, so that nobody waits for it between two
 */
export async function* activities(
  look: () => Promise<Looks>,
  intervalMs: number,
): AsyncGenerator<EnvActivity[], never> {
  for (let before = await look(); ; ) {
    await sleep(intervalMs);
    const after = await look();
    yield activityBetween(before, after);
    before = after;
  }
}
