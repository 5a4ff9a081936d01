/**
 * The flip: one transaction of the store, after which every env that is mounted from then on sees the new version;
 * then the drivers take those that are mounted there.
 *
 * Crash windows. Before the commit nothing happened. After it, drivers that were told of it to come go on by
 * themselves when this process's connection ends; what else is left to do is in the patch's record, and the next
 * command does it (recover.ts).
 */
import { failpoint } from '../../base/failpoints.ts';
import type { EnvOutcome, PatchedEnv } from '../../codec/patch-record.ts';
import { ControlClient } from '../../ipc/client.ts';
import { envMounts } from '../../ipc/mount-table.ts';
import type { DriverVerbs, EnvActs, PrepareRequest, RefreshedEnv } from '../../ipc/protocol.ts';
import { RunDir } from '../../ipc/run-dir.ts';
import type { EnvRow, Store } from '../../store/store.ts';

/** How long a driver may take to bring all its envs to a version: waiting calls in them may hold it up. */
const REFRESH_TIMEOUT_MS = 120_000;
const PREPARE_TIMEOUT_MS = 10_000;

type Driver = ControlClient<DriverVerbs>;

export interface FlipRequest {
  /** What is to come, for the drivers to read before. */
  readonly prepare: PrepareRequest;
  /** Writes the rows that make it so; inside the transaction. */
  commit(): void;
  /** What is to be done to the own files of envs, at their flip. */
  readonly acts: readonly EnvActs[];
}

/** What the drivers said: by env, and which shards did not answer. */
export interface FlipReport {
  readonly envs: ReadonlyMap<number, RefreshedEnv>;
  /** Why, by shard. */
  readonly silent: ReadonlyMap<number, string>;
}

/** The store is open for writing. Rejects, with nothing changed, if the commit fails. */
export async function flip(store: Store, request: FlipRequest): Promise<FlipReport> {
  const drivers = await runningDrivers(store);
  try {
    // One that does not answer now is asked again below; this only spares it work later.
    await Promise.allSettled(
      [...drivers.values()].map((driver) =>
        driver.call('prepare', request.prepare, PREPARE_TIMEOUT_MS),
      ),
    );
    failpoint('patch-prepared');
    store.tables.transaction(() => request.commit());
    failpoint('patch-committed');
    // Drivers that were started meanwhile may have read the store before.
    await runningDrivers(store, drivers);
    return await refresh(drivers, request.acts);
  } finally {
    for (const driver of drivers.values()) driver.close();
  }
}

/** Brings what is mounted to what the store says. */
export async function refreshAll(store: Store, acts: readonly EnvActs[] = []): Promise<FlipReport> {
  const drivers = await runningDrivers(store);
  try {
    return await refresh(drivers, acts);
  } finally {
    for (const driver of drivers.values()) driver.close();
  }
}

/**
 * The envs, by id, in which dpkg or apt is at work. What a driver that does not answer serves is not among them.
 * @param settle before their own files are looked at: see DriverVerbs.busy
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
  const run = new RunDir(store.root);
  await Promise.all(
    Array.from({ length: store.shards }, async (_, shard) => {
      if (known.get(shard)?.gone === false) return;
      const { socket } = run.driver(shard);
      const driver = await ControlClient.connect<DriverVerbs>(socket, `driver of shard ${shard}`);
      if (driver !== null) known.set(shard, driver);
    }),
  );
  return known;
}

async function refresh(
  drivers: ReadonlyMap<number, Driver>,
  acts: readonly EnvActs[],
): Promise<FlipReport> {
  const refreshed = new Map<number, RefreshedEnv>();
  const silent = new Map<number, string>();
  await Promise.all(
    [...drivers].map(async ([shard, driver]) => {
      try {
        const answer = await driver.call('refresh', { envs: null, acts }, REFRESH_TIMEOUT_MS);
        failpoint('patch-refreshed');
        for (const env of answer) refreshed.set(env.env, env);
      } catch (error) {
        silent.set(shard, (error as Error).message);
      }
    }),
  );
  return { envs: refreshed, silent };
}

/** What came of it in the envs that were to move. */
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
