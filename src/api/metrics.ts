/** The metrics of a daemon, for Prometheus: docs/reference/daemon.md lists them. */
import { constants } from 'node:os';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { DriverMetrics, DriverStatus } from '../ipc/protocol.ts';
import { findDriver } from '../manager/envs/spawn.ts';
import { type ScrubTimes, scrubTimes } from '../services/scrub-times.ts';
import { registerHistogram } from './counted-histogram.ts';
import type { RootView } from './env-watch.ts';

/** What the daemon knows by itself. */
export interface MetricsSources {
  /** What was seen of the root last; null before the first look. */
  readonly view: () => RootView | null;
  readonly operationsRunning: () => number;
  /** Returns the private bytes of all envs. It may cost a stat for each private file. */
  readonly privateBytes: () => Promise<readonly PrivateBytes[]>;
}

/** The private bytes of one env. */
export interface PrivateBytes {
  readonly name: string;
  readonly privateBytes: number;
}

/** What one driver says. */
interface Driver {
  readonly status: DriverStatus;
  readonly metrics: DriverMetrics;
}

const DRIVER_MS = 3_000;
/** How long sums of private bytes are good for. */
const USAGE_MS = 60_000;
const SECOND_MS = 1000;
const STATES = ['running', 'frozen', 'mounted', 'stopped', 'dead', 'detached'] as const;

/** Collects metrics when they are asked for. */
export class DaemonMetrics {
  private readonly root: string;
  private readonly sources: MetricsSources;
  private readonly own = new Registry();
  private usage: readonly PrivateBytes[] = [];
  private usageAt = Number.NEGATIVE_INFINITY;

  constructor(root: string, sources: MetricsSources) {
    this.root = root;
    this.sources = sources;
    collectDefaultMetrics({ register: this.own, prefix: 'byref_daemon_' });
  }

  /** Returns all metrics in Prometheus's text format. */
  async text(): Promise<{ type: string; text: string }> {
    const seen = new Registry();
    this.ofRoot(seen);
    ofScrubs(seen, scrubTimes(this.root));
    await this.ofDisk(seen);
    const drivers = await this.drivers();
    ofDrivers(seen, drivers);
    ofRequests(seen, drivers, this.names());
    const all = Registry.merge([seen, this.own]);
    return { type: all.contentType, text: await all.metrics() };
  }

  private names(): ReadonlyMap<number, string> {
    return new Map((this.sources.view()?.envs ?? []).map(({ id, name }) => [id, name]));
  }

  private ofRoot(registry: Registry): void {
    const view = this.sources.view();
    const envs = gauge(registry, 'byref_envs', 'Envs, by their state.', ['state']);
    for (const state of STATES) {
      envs.set({ state }, (view?.envs ?? []).filter((env) => env.state === state).length);
    }
    const templates = gauge(registry, 'byref_templates', 'Templates.');
    templates.set(view?.versions.size ?? 0);
    const operations = gauge(registry, 'byref_operations_running', 'Operations that run.');
    operations.set(this.sources.operationsRunning());
    const patches = counter(
      registry,
      'byref_patches_total',
      'Patches, rollbacks and pins on record, by their state.',
      ['state'],
    );
    for (const [state, count] of view?.patchStates ?? []) patches.inc({ state }, count);
  }

  private async ofDisk(registry: Registry): Promise<void> {
    const now = performance.now();
    if (now - this.usageAt > USAGE_MS) {
      this.usageAt = now;
      this.usage = await this.sources.privateBytes().catch(() => this.usage);
    }
    const bytes = gauge(
      registry,
      'byref_env_private_bytes',
      'Bytes on disk of an env’s own files; at most a minute old.',
      ['env'],
    );
    for (const { name, privateBytes } of this.usage) bytes.set({ env: name }, privateBytes);
  }

  private async drivers(): Promise<Driver[]> {
    const shards = [...new Set((this.sources.view()?.envs ?? []).map(({ shard }) => shard))];
    const found = await Promise.all(shards.map((shard) => askDriver(this.root, shard)));
    return found.filter((driver) => driver !== null);
  }
}

/** Asks a driver; null if none runs, or it hangs, or it is of an older byref. */
async function askDriver(root: string, shard: number): Promise<Driver | null> {
  const client = await findDriver(root, shard).catch(() => null);
  if (client === null) return null;
  try {
    const status = await client.call('status', null, DRIVER_MS);
    return { status, metrics: await client.call('metrics', null, DRIVER_MS) };
  } catch {
    return null;
  } finally {
    client.close();
  }
}

function ofScrubs(registry: Registry, { endedMs, damaged }: ScrubTimes): void {
  const objects = gauge(
    registry,
    'byref_damaged_objects',
    'Objects that a scrub found damaged, and that are not repaired.',
  );
  objects.set(damaged);
  if (endedMs === null) return;
  const ended = gauge(
    registry,
    'byref_scrub_ended_seconds',
    'When the last round over all objects was ended, in seconds since the epoch.',
  );
  ended.set(endedMs / SECOND_MS);
}

function ofDrivers(registry: Registry, drivers: readonly Driver[]): void {
  const mounts = gauge(registry, 'byref_driver_mounts', 'Mounts that a driver serves.', ['shard']);
  const used = gauge(
    registry,
    'byref_driver_entries',
    'Inodes and open files that a driver keeps for the kernel.',
    ['shard'],
  );
  const max = gauge(registry, 'byref_driver_entries_max', 'How many it can keep.', ['shard']);
  const faults = counter(
    registry,
    'byref_driver_faults_total',
    'Errors that a driver caught at its edge; anything but 0 is a bug.',
    ['shard'],
  );
  for (const { status } of drivers) {
    const shard = String(status.shard);
    mounts.set({ shard }, status.envs.length);
    used.set({ shard }, status.entries.used);
    max.set({ shard }, status.entries.max);
    faults.inc({ shard }, status.faults);
  }
}

function ofRequests(
  registry: Registry,
  drivers: readonly Driver[],
  names: ReadonlyMap<number, string>,
): void {
  const errors = counter(
    registry,
    'byref_request_errors_total',
    'Requests of the kernel that were answered with an error, since the mount.',
    ['env', 'operation', 'errno'],
  );
  const copyUps = counter(
    registry,
    'byref_copy_ups_total',
    'Copies of template files made for a write, since the mount.',
    ['env'],
  );
  const pending = gauge(
    registry,
    'byref_requests_pending',
    'Requests that wait for a late answer.',
    ['env'],
  );
  const slow = counter(
    registry,
    'byref_slow_requests_total',
    'Requests of the kernel that took longer than they should, since the mount; the driver’s log has each.',
    ['env'],
  );
  const histogram = registerHistogram(
    registry,
    'byref_request_seconds',
    'How long requests of the kernel took, since the mount.',
  );
  for (const { metrics } of drivers) {
    const boundsSeconds = metrics.latencyBoundsMs.map((ms) => ms / SECOND_MS);
    for (const each of metrics.envs) {
      const { env: id, operations, copyUps: copies, pending: waiting, slow: slowOnes = 0 } = each;
      const env = names.get(id) ?? String(id);
      copyUps.inc({ env }, copies);
      pending.set({ env }, waiting);
      slow.inc({ env }, slowOnes);
      for (const { operation, totalMs, buckets, errors: failed } of operations) {
        histogram.add({ env, operation }, boundsSeconds, buckets, totalMs / SECOND_MS);
        for (const [errno, count] of failed) {
          errors.inc({ env, operation, errno: errnoName(errno) }, count);
        }
      }
    }
  }
}

const errnoName = (errno: number): string =>
  Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? String(errno);

function gauge(registry: Registry, name: string, help: string, labelNames: string[] = []): Gauge {
  return new Gauge({ name, help, labelNames, registers: [registry] });
}

function counter(registry: Registry, name: string, help: string, labelNames: string[]): Counter {
  return new Counter({ name, help, labelNames, registers: [registry] });
}
