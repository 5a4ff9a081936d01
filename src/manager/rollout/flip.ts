/**
 * The flip: one transaction of the store, after which every env that is mounted later sees the new version; then the
 * drivers take the envs there that are mounted already.
 *
 * Crash windows. Before the commit nothing happened. After it, drivers that were told what was to come go on by
 * themselves when this process's connection ends; the rest of the work is in the patch's record, and the next command
 * does it (recover.ts).
 */
import { failpoint } from '../../base/failpoints.ts';
import type { EnvOutcome, PatchedEnv } from '../../codec/patch-record.ts';
import { type ControlClient, PeerGone } from '../../ipc/client.ts';
import { envMounts } from '../../ipc/mount-table.ts';
import type { DriverVerbs, EnvActions, PrepareRequest, RefreshedEnv } from '../../ipc/protocol.ts';
import type { EnvRow, Store } from '../../store/store.ts';
import { findDriver } from '../envs/spawn.ts';

/** How long a driver may take to bring all its envs to a version: waiting calls in them may hold it up. */
const REFRESH_TIMEOUT_MS = 120_000;
const PREPARE_TIMEOUT_MS = 10_000;
/** How many drivers of a shard are asked, one after the other, if each is killed. */
const DRIVERS_MAX = 10;

type Driver = ControlClient<DriverVerbs>;

/** A change to commit, with what drivers are told of it before and after. */
export interface FlipRequest {
  /** Sent to drivers before the commit, so that they read early what will differ. */
  readonly prepare: PrepareRequest;
  /** Writes the rows that make the change; called inside the transaction. */
  commit(): void;
  /** The changes to envs' own files that drivers make when the envs flip. */
  readonly acts: readonly EnvActions[];
}

/** The drivers' answers: one for each env, and the shards that did not answer. */
export interface FlipReport {
  readonly envs: ReadonlyMap<number, RefreshedEnv>;
  /** Why a driver did not answer, by shard. */
  readonly silent: ReadonlyMap<number, string>;
}

/**
 * Commits, and brings the mounted envs along. The store is open for writing. Rejects, with nothing changed, if the commit
 * fails.
 */
export async function flip(store: Store, request: FlipRequest): Promise<FlipReport> {
  const drivers = await runningDrivers(store);
  try {
    // A driver that does not answer now is asked again below; this call only spares it work later.
    await Promise.allSettled(
      [...drivers.values()].map((driver) =>
        driver.call('prepare', request.prepare, PREPARE_TIMEOUT_MS),
      ),
    );
    failpoint('patch-prepared');
    store.transaction(() => request.commit());
    failpoint('patch-committed');
    // Drivers that started in the meantime may have read the store before the commit.
    await runningDrivers(store, drivers);
    return await refresh(store.root, drivers, request.acts);
  } finally {
    for (const driver of drivers.values()) driver.close();
  }
}

/** Brings all mounted envs to what the store says, and has their drivers make these actions. */
export async function refreshAll(
  store: Store,
  acts: readonly EnvActions[] = [],
): Promise<FlipReport> {
  const drivers = await runningDrivers(store);
  try {
    return await refresh(store.root, drivers, acts);
  } finally {
    for (const driver of drivers.values()) driver.close();
  }
}

/**
 * Returns the ids of the envs in which dpkg or apt is at work. Envs whose driver does not answer are not among them.
 * @param settle see DriverVerbs.busy: to be done before the envs' own files are looked at
 */
export async function busyEnvs(store: Store, settle: boolean): Promise<Set<number>> {
  const drivers = await runningDrivers(store);
  try {
    const answers = await Promise.allSettled(
      [...drivers.values()].map((driver) => driver.call('busy', { settle }, PREPARE_TIMEOUT_MS)),
    );
    return new Set(answers.flatMap((each) => (each.status === 'fulfilled' ? each.value : [])));
  } finally {
    for (const driver of drivers.values()) driver.close();
  }
}

async function runningDrivers(
  store: Store,
  known = new Map<number, Driver>(),
): Promise<Map<number, Driver>> {
  await Promise.all(
    Array.from({ length: store.shards }, async (_, shard) => {
      if (known.get(shard)?.gone === false) return;
      const driver = await findDriver(store.root, shard);
      if (driver !== null) known.set(shard, driver);
    }),
  );
  return known;
}

async function refresh(
  root: string,
  drivers: Map<number, Driver>,
  acts: readonly EnvActions[],
): Promise<FlipReport> {
  const refreshed = new Map<number, RefreshedEnv>();
  const silent = new Map<number, string>();
  await Promise.all(
    [...drivers.keys()].map(async (shard) => {
      try {
        const answer = await refreshShard(root, drivers, shard, acts);
        failpoint('patch-refreshed');
        for (const env of answer) refreshed.set(env.env, env);
      } catch (error) {
        silent.set(shard, (error as Error).message);
      }
    }),
  );
  return { envs: refreshed, silent };
}

/** Has a shard's driver bring its envs along; if it is killed meanwhile, the one that takes over, which takes its place here. */
async function refreshShard(
  root: string,
  drivers: Map<number, Driver>,
  shard: number,
  acts: readonly EnvActions[],
): Promise<readonly RefreshedEnv[]> {
  for (let times = 1; ; times++) {
    try {
      return await drivers.get(shard)!.call('refresh', { envs: null, acts }, REFRESH_TIMEOUT_MS);
    } catch (error) {
      // One that is just dying may still be connected to.
      const isGone = error instanceof PeerGone && times < DRIVERS_MAX;
      const next = isGone ? await findDriver(root, shard) : null;
      if (next === null) throw error;
      drivers.set(shard, next);
    }
  }
}

/** Tells for each env that was to move what came of it. Actions are not in it. */
export function outcomes(store: Store, rows: readonly EnvRow[], report: FlipReport): PatchedEnv[] {
  const mounts = envMounts(store.root);
  return rows.map(({ id, name, shard }) => {
    const env = report.envs.get(id);
    const error = env?.error ?? (mounts.has(id) ? (report.silent.get(shard) ?? null) : null);
    const { own = 0, removed = 0, keptDirs = 0 } = env ?? {};
    const outcome = env?.busy ? 'busy' : outcomeOf(env !== undefined, mounts.has(id), error);
    return { id, name, outcome, own, removed, keptDirs, acts: [], error };
  });
}

function outcomeOf(served: boolean, mounted: boolean, error: string | null): EnvOutcome {
  if (error !== null) return 'failed';
  if (served) return 'flipped';
  return mounted ? 'dead' : 'stopped';
}
