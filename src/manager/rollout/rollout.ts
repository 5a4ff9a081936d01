/** Decides which envs go first, and what has to hold before the others follow. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ByrefError } from '../../base/error.ts';
import type { PatchRecord } from '../../codec/patch-record.ts';
import type { Store } from '../../store/store.ts';
import { envStates } from '../envs/state.ts';
import { needPeoplesEnv, peoplesEnvs } from '../sandbox/owner.ts';
import { followersOf } from './followers.ts';
import { checkHealth, type HealthCheck, type HealthResult, type HealthSubject } from './health.ts';
import type { PatchRun } from './run.ts';

/** The size of a wave: a number of envs, a part of those that follow (rounded up), or named envs. */
export type WaveSize =
  | { readonly count: number }
  | { readonly percent: number }
  | { readonly envs: readonly string[] };

/** The waves of a patch, and what happens after each of them. */
export interface Rollout {
  /** Sizes count from the first wave on: each wave adds to those before it. */
  readonly waves: readonly WaveSize[];
  /** After the last wave: take all envs there, or leave that to a further command. */
  readonly afterwards: 'all' | 'hold';
  /** How long to wait after each wave, in milliseconds. */
  readonly waitMs: number;
  readonly health: HealthCheck | null;
}

/** An event during a rollout, for people who wait for it. */
export type RolloutEvent =
  | { readonly what: 'note'; readonly text: string }
  | { readonly what: 'wave'; readonly envs: readonly string[]; readonly of: number }
  | { readonly what: 'waiting'; readonly ms: number }
  | { readonly what: 'healthy'; readonly results: readonly HealthResult[] }
  | { readonly what: 'unhealthy'; readonly result: HealthResult };

/**
 * Takes envs to the version in waves. If one is unhealthy, or `signal` interrupts it, all go back, and the record says why.
 * The store is open for writing; others may write while this waits.
 */
export async function rollOut(
  store: Store,
  run: PatchRun,
  { waves, afterwards, waitMs, health }: Rollout,
  on: (event: RolloutEvent) => void,
  signal: AbortSignal,
): Promise<PatchRecord> {
  const gone = new Set(run.record.envs.map(({ id }) => id));
  for (const wave of waves) {
    const chosen = await choose(store, run.record.templateId, wave, gone, health);
    if (chosen.length > 0) await run.advance(chosen.map(({ id }) => id));
    for (const { id } of chosen) gone.add(id);
    on({ what: 'wave', envs: chosen.map(({ name }) => name), of: gone.size });
    if (waitMs > 0) {
      on({ what: 'waiting', ms: waitMs });
      await store.pause(() => sleep(waitMs, undefined, { signal }).catch(() => undefined));
    }
    if (isAborted(signal)) return run.undo(INTERRUPTED);
    const results = health === null ? [] : await healthOf(store, gone, health, signal);
    if (isAborted(signal)) return run.undo(INTERRUPTED);
    const bad = results.find(({ ok }) => !ok);
    if (bad !== undefined) {
      on({ what: 'unhealthy', result: bad });
      return run.undo(reason(health!.command, bad));
    }
    if (health !== null) on({ what: 'healthy', results });
  }
  return afterwards === 'all' ? run.complete() : run.hold();
}

const INTERRUPTED = 'it was interrupted';

/** A function, because the value changes between two looks, and TypeScript would take the second for the first. */
const isAborted = (signal: AbortSignal): boolean => signal.aborted;

/** Refuses waves that name envs which can't go first. @throws ByrefError 'notFound', 'usage' */
export async function checkWaves(
  store: Store,
  templateId: number,
  { waves, health }: Rollout,
): Promise<void> {
  for (const wave of waves) {
    if ('envs' in wave) await choose(store, templateId, wave, new Set(), health);
  }
}

async function healthOf(
  store: Store,
  envs: ReadonlySet<number>,
  health: HealthCheck,
  signal: AbortSignal,
): Promise<HealthResult[]> {
  const subjects = (await subjectsOf(store)).filter(({ id }) => envs.has(id));
  const checked =
    health.on === 'host' ? subjects : subjects.filter((env) => env.mountpoint !== null);
  return store.pause(() => checkHealth(health, checked, signal));
}

function reason(command: string, { env, how, tries, output }: HealthResult): string {
  const times = tries > 1 ? ` (${tries} tries)` : '';
  const said = output === '' ? '' : `\n${output}`;
  return `unhealthy in ${env}: ${command}: ${how}${times}${said}`;
}

/** Chooses the envs of the next wave: those that can be checked before those that can't, then by age. */
async function choose(
  store: Store,
  templateId: number,
  size: WaveSize,
  gone: ReadonlySet<number>,
  health: HealthCheck | null,
): Promise<HealthSubject[]> {
  const ids = new Set(followersOf(store, templateId).map(({ id }) => id));
  const subjects = (await subjectsOf(store)).filter(({ id }) => ids.has(id));
  if ('envs' in size) return named(store, size.envs, subjects, gone, health);
  const count = 'count' in size ? size.count : Math.ceil((subjects.length * size.percent) / 100);
  const left = subjects
    .filter(({ id }) => !gone.has(id))
    .sort((a, b) => Number(a.mountpoint === null) - Number(b.mountpoint === null));
  return left.slice(0, Math.max(0, count - gone.size));
}

function named(
  store: Store,
  names: readonly string[],
  subjects: readonly HealthSubject[],
  gone: ReadonlySet<number>,
  health: HealthCheck | null,
): HealthSubject[] {
  return names.flatMap((name) => {
    const row = needPeoplesEnv(store, name);
    const subject = subjects.find(({ id }) => id === row.id);
    if (subject === undefined) {
      const message = `${row.name} does not follow this template`;
      throw new ByrefError('usage', message, 'Name envs that follow it: see byref template log.');
    }
    if (health?.on === 'env' && subject.mountpoint === null) {
      const message = `${row.name} is not mounted, so the health command can't run in it`;
      throw new ByrefError('usage', message, 'Mount it first, or add --health-on host.');
    }
    return gone.has(row.id) ? [] : [subject];
  });
}

async function subjectsOf(store: Store): Promise<HealthSubject[]> {
  const states = await envStates(store, peoplesEnvs(store));
  return states.map(({ row, state, mount, address }) => {
    const mountpoint = state === 'mounted' ? (mount?.mountpoint ?? null) : null;
    return { id: row.id, name: row.name, mountpoint, address };
  });
}
