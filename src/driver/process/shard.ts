import type { Socket } from 'node:net';
import { ByrefError } from '../../base/error.ts';
import { failpoint } from '../../base/failpoints.ts';
import type { ObjectId } from '../../base/ids.ts';
import { VERSION } from '../../base/version.ts';
import type {
  DriverStatus,
  DriverVerbs,
  EnvActions,
  HeldEnv,
  MountedEnv,
  MountRequest,
  OldReaders,
  PrepareRequest,
  RefreshedEnv,
  RefreshRequest,
  ServedDevice,
  WritersPage,
  WritersRequest,
} from '../../ipc/protocol.ts';
import { RECORDS_VERSION } from '../../ipc/records-version.ts';
import type { Handlers } from '../../ipc/server.ts';
import type { FaultCount } from '../../observe/fault-guard.ts';
import type { Log } from '../../observe/log.ts';
import type { StackRef, Store } from '../../store/store.ts';
import type { AccessRules } from '../core/ports.ts';
import type { EnvAction } from '../core/set-aside.ts';
import { unmount } from '../fuse/mount.ts';
import { LATENCY_BOUNDS_MS } from '../fuse/request-times.ts';
import { MountedRules } from './access-rules.ts';
import { entryBudget } from './entry-budget.ts';
import { type EnvParts, openEnv } from './env-parts.ts';
import { shareDescriptors } from './fd-budget.ts';
import { collectGarbage } from './garbage.ts';
import type { HolderLink } from './holder-link.ts';
import { LiveEnv } from './live-env.ts';
import { type LeftDevice, nextOf, takeDevices, takeLeft } from './resume/take-left.ts';
import { serveKernel } from './serve-kernel.ts';
import type { ServedEnv } from './served-env.ts';

/** This many entries of ended envs are worth a garbage collection: about 20 MiB. */
const WORTH_COLLECTING = 50_000;

/** Delay before an env in which dpkg was at work is tried again, in ms. */
const BUSY_RETRY_MS = 1000;

const REMOUNT = 'Unmount its envs, then mount them again: byref umount --all; byref mount --all';

/** The most envs that are refreshed at once. */
const AT_ONCE = 64;

/** The parts that a shard is made with. */
export interface ShardParts {
  readonly store: Store;
  readonly shard: number;
  readonly holder: HolderLink;
  readonly log: Log;
  readonly faults: FaultCount;
  /** Called after each mount and each end of one. */
  readonly onChange: () => void;
}

/**
 * The envs that this process serves.
 *
 * An env is in `live` from the request to mount it until its delta is closed: while it is mounted, served and
 * closed. Requests about one env wait for each other through that entry.
 */
export class Shard {
  private readonly parts: ShardParts;
  private readonly live = new Map<number, LiveEnv>();
  /** Connections that announced a flip which has not come yet. */
  private readonly expected = new Set<Socket>();
  private readonly rules: MountedRules;
  /** True once another driver is to go on with all mounts. */
  private leaving = false;

  constructor(parts: ShardParts) {
    this.parts = parts;
    this.rules = new MountedRules(parts.store.root);
  }

  get size(): number {
    return this.live.size;
  }

  /**
   * @param stop ends this process when it serves nothing any more
   * @param vanish ends it when another driver is to go on with what it serves
   */
  handlers(stop: () => void, vanish: () => void): Handlers<DriverVerbs> {
    return {
      status: () => this.status(),
      metrics: () => ({
        pid: process.pid,
        latencyBoundsMs: LATENCY_BOUNDS_MS,
        envs: [...this.live.values()].flatMap((each) => each.metrics() ?? []),
      }),
      mount: (request) => this.mount(request),
      device: ({ env }) => this.device(env),
      attached: ({ env, mountpoint }) => this.attached(env, mountpoint),
      prepare: (args, peer) => this.prepare(args, peer),
      refresh: (args, peer) => this.refresh(args, peer),
      busy: ({ settle }) => this.busy(settle),
      held: () => {
        const live = [...this.live.values()];
        return {
          stacks: live.flatMap((each) => each.shown()),
          gone: live.flatMap((each) => each.gone()),
        };
      },
      writers: (args) => this.writers(args),
      limits: ({ env }) => this.limits(env),
      replaced: ({ objects }) => this.replaced(new Set(objects as ObjectId[])),
      hold: ({ env }, peer) => this.hold(env, peer),
      closed: async ({ env }) => {
        await this.live.get(env)?.closed;
        return null;
      },
      leave: (args) => this.leave(args, vanish),
      stop: (args) => this.stop(args.force, stop),
    };
  }

  private async busy(settle: boolean): Promise<number[]> {
    const isBusy = ([, live]: [number, LiveEnv]): boolean => live.isBusy;
    if (settle) {
      const free = [...this.live].filter((each) => !isBusy(each));
      // If an env's disk fails, the flip will find that.
      await Promise.all(free.map(([, live]) => live.quiesce().catch(() => undefined)));
    }
    return [...this.live].filter(isBusy).map(([env]) => env);
  }

  private status(): DriverStatus {
    const { store, shard, faults } = this.parts;
    const envs = [...this.live.values()].flatMap(({ served }) => (served ? [served.info] : []));
    const { pid } = process;
    const { used, max } = entryBudget;
    const entries = { used, max };
    return { pid, root: store.root, shard, version: VERSION, envs, entries, faults: faults.value };
  }

  private async mount(request: MountRequest): Promise<MountedEnv> {
    const { env } = request;
    const before = this.live.get(env);
    if (before?.ending) await before.closed;
    if (this.live.has(env)) {
      const message = `env ${env} is being mounted already`;
      throw new ByrefError('busy', message, 'Wait for the other command, then see byref list.');
    }
    shareDescriptors(this.live.size + 1);
    const live = new LiveEnv();
    this.live.set(env, live);
    try {
      const info = await this.bringUp(live, request);
      // A flip may have been committed since its stack was read.
      await live.refresh(this.parts.store);
      return info;
    } catch (error) {
      this.forget(env, live);
      throw error;
    } finally {
      live.becomeOpened();
    }
  }

  private async bringUp(live: LiveEnv, request: MountRequest): Promise<MountedEnv> {
    const { store, holder, log } = this.parts;
    // By its path, over which an env may lie once it is mounted.
    await holder.reach();
    const parts = await openEnv(store, request, log);
    keepAccessTimes(parts, parts.accessRules);
    try {
      const served = await serve(store.root, parts, request, log);
      await this.begin(live, parts, served);
      log.info({ ...served.info, stack: parts.row.stack }, 'mounted');
      return served.info;
    } catch (error) {
      await parts.delta.close();
      throw error;
    }
  }

  private async begin(live: LiveEnv, parts: EnvParts, served: ServedEnv): Promise<void> {
    const { holder, shard } = this.parts;
    const { env, mountpoint } = served.info;
    // INVARIANT: two processes hold the descriptor before anyone is told of the mount.
    try {
      if (served.device >= 0) await holder.hold({ env, mountpoint, shard, fd: served.device });
    } catch (error) {
      await served.abort(() => Promise.resolve());
      throw error;
    }
    live.serve(parts, served);
    const { row, mountFlags } = parts;
    this.rules.follow(row.id, mountFlags, (rules) => keepAccessTimes(parts, rules));
    void served.ended.then((errno) => this.takeDown(live, parts, errno));
    this.parts.onChange();
  }

  /**
   * Goes on with the mounts of a driver that was killed. Programs in them have waited since, and see nothing else of it. A
   * mount that can't be gone on with is ended, so that nothing waits for good.
   */
  async goOn(): Promise<void> {
    const { holder, shard, log } = this.parts;
    const begun = performance.now();
    const devices = takeDevices(await holder.held(shard));
    const { length } = devices;
    for (let device = nextOf(devices); device !== undefined; device = nextOf(devices)) {
      const live = new LiveEnv();
      this.live.set(device.env, live);
      try {
        await this.goOnWith(live, device);
      } catch (error) {
        log.error(
          { env: device.env, err: error },
          'the mount of a driver that was killed is ended',
        );
        await this.giveUp(device);
        this.forget(device.env, live);
      } finally {
        live.becomeOpened();
      }
    }
    const ms = Math.round(performance.now() - begun);
    if (length > 0) log.info({ envs: this.live.size, ms }, 'went on');
  }

  private async goOnWith(live: LiveEnv, device: LeftDevice): Promise<void> {
    const { store, log } = this.parts;
    const { parts, served, earlier } = await takeLeft(store, device, log);
    keepAccessTimes(parts, parts.accessRules);
    live.showedBefore(earlier);
    try {
      await this.begin(live, parts, served);
      log.info(served.info, 'went on with');
    } catch (error) {
      await parts.delta.close();
      throw error;
    }
    // A patch that it was in, or that came since, is made in it now. One that waits for dpkg is tried again by its command.
    void live
      .refresh(store)
      .catch((error: unknown) => log.error({ env: device.env, err: error }, 'flip'));
  }

  /** Ends a mount whose driver was killed: what uses it gets errors from now on. */
  private async giveUp({ env, mountpoint }: LeftDevice): Promise<void> {
    await this.parts.holder.drop(env);
    unmount(mountpoint, true);
  }

  private device(env: number): ServedDevice | null {
    const live = this.live.get(env);
    if (!live?.served || live.ending || live.served.device < 0) return null;
    return { pid: process.pid, fd: live.served.device };
  }

  private async attached(env: number, mountpoint: string): Promise<MountedEnv | null> {
    const { holder, log, shard } = this.parts;
    const served = this.live.get(env)?.served ?? null;
    if (served === null) return null;
    served.info = { ...served.info, mountpoint };
    await holder.hold({ env, mountpoint, shard, fd: served.device });
    log.info(served.info, 'mounted again');
    return served.info;
  }

  private prepare({ versions, stacks }: PrepareRequest, peer: Socket): null {
    const { store } = this.parts;
    this.expected.add(peer);
    peer.once('close', () => {
      if (this.expected.delete(peer)) void this.catchUp();
    });
    // Rows of a version are cached for good, so they must not be read from before the version existed.
    store.refresh();
    const moved = new Map(versions.map(({ templateId, version }) => [templateId, version]));
    const other = new Map(stacks.map(({ env, stack }) => [env, stack]));
    const withMoved = (stack: readonly StackRef[]): StackRef[] =>
      stack.map((ref) => ({ ...ref, version: moved.get(ref.templateId) ?? ref.version }));
    for (const [env, live] of this.live) {
      live.prepare(store, (stack) => store.composed(other.get(env) ?? withMoved(stack)));
    }
    return null;
  }

  private async refresh({ envs, acts }: RefreshRequest, peer: Socket): Promise<RefreshedEnv[]> {
    const refreshed = await this.refreshAll(envs, acts);
    this.expected.delete(peer);
    return refreshed;
  }

  /** Refreshes all envs without a command that waits for it, and repeats it while dpkg is at work in one. */
  private async catchUp(): Promise<void> {
    const refreshed = await this.refreshAll(null, []);
    if (refreshed.some(({ busy }) => busy)) {
      setTimeout(() => void this.catchUp(), BUSY_RETRY_MS).unref();
    }
  }

  /** Refreshes some envs at a time: between them, requests are served. */
  private async refreshAll(
    envs: readonly number[] | null,
    acts: readonly EnvActions[],
  ): Promise<RefreshedEnv[]> {
    const actionsOf = new Map(acts.map((each) => [each.env, each.acts]));
    const left =
      envs === null ? [...this.live] : [...this.live].filter(([env]) => envs.includes(env));
    const done: RefreshedEnv[] = [];
    const work = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const refreshed = await this.refreshOne(...next, actionsOf.get(next[0]) ?? []);
        if (refreshed !== null) done.push(refreshed);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return done;
  }

  private async refreshOne(
    env: number,
    live: LiveEnv,
    acts: readonly EnvAction[],
  ): Promise<RefreshedEnv | null> {
    const { store, log } = this.parts;
    await live.opened;
    try {
      const refreshed = await live.refresh(store, acts);
      if (refreshed?.flipped) log.info(refreshed, 'flipped');
      return refreshed;
    } catch (error) {
      log.error({ env, err: error }, 'flip');
      const message = error instanceof Error ? error.message : String(error);
      return {
        env,
        flipped: false,
        own: 0,
        removed: 0,
        keptDirs: 0,
        acts: [],
        busy: false,
        error: message,
      };
    }
  }

  private async limits(env: number): Promise<null> {
    const live = this.live.get(env);
    await live?.opened;
    await live?.limitDisk(this.parts.store);
    return null;
  }

  private async replaced(objects: ReadonlySet<ObjectId>): Promise<OldReaders[]> {
    const { log } = this.parts;
    const all = [...this.live].map(async ([env, live]) => {
      await live.opened;
      return { env, files: (await live.served?.fs.readAnew(objects)) ?? 0 };
    });
    const readers = (await Promise.all(all)).filter(({ files }) => files > 0);
    log.info({ objects: objects.size, readers }, 'damaged objects were replaced');
    return readers;
  }

  /** Holds an env for as long as the connection is open. */
  private async hold(env: number, peer: Socket): Promise<HeldEnv | null> {
    const live = this.live.get(env);
    await live?.opened;
    const held = (await live?.hold()) ?? null;
    if (held === null) return null;
    // A command that was killed while we waited does not close it again.
    if (peer.destroyed) held.release();
    else peer.once('close', held.release);
    failpoint('env-held');
    return { journal: held.journal };
  }

  private writers(request: WritersRequest): WritersPage {
    const served = this.live.get(request.env)?.served ?? null;
    if (served?.trace) return served.trace.page(request);
    const name = served?.info.name ?? `env ${request.env}`;
    const message = `${name} is not mounted with its writers traced`;
    throw new ByrefError(
      'usage',
      message,
      'Unmount it, and mount it with trace: only what is changed from then on has a known writer.',
    );
  }

  /** Closes an env's delta after its mount is gone, and makes the holder close its copy. */
  private async takeDown(live: LiveEnv, { row, delta }: EnvParts, errno: number): Promise<void> {
    const { holder, log } = this.parts;
    if (this.leaving) return;
    live.ending = true;
    this.rules.leave(row.id);
    log.info({ env: row.id, name: row.name, errno }, 'unmounted');
    live.served?.trace?.close();
    live.served?.kept?.end();
    try {
      await delta.close();
      await holder.drop(row.id);
    } finally {
      this.forget(row.id, live);
    }
  }

  private forget(env: number, live: LiveEnv): void {
    this.live.delete(env);
    shareDescriptors(this.live.size);
    live.becomeClosed();
    if (entryBudget.takeEnded() > WORTH_COLLECTING) collectGarbage();
    this.parts.onChange();
  }

  /** Leaves all mounts to another driver. What was begun is answered; what comes then waits for that driver. */
  private async leave(
    { records, restart }: { readonly records: number; readonly restart: readonly string[] },
    vanish: () => void,
  ): Promise<null> {
    if (records !== RECORDS_VERSION) {
      const message = `a driver of byref ${VERSION} can't leave its mounts to the other one`;
      throw new ByrefError('unsupported', message, REMOUNT);
    }
    await Promise.all([...this.live.values()].map(({ opened }) => opened));
    for (const { served } of this.live.values()) {
      if (served === null || served.kept?.canBeLeft === true) continue;
      const message = `${served.info.name} is mounted in a way that no other driver can go on with`;
      throw new ByrefError('unsupported', message, REMOUNT);
    }
    await this.parts.holder.restartWith(restart);
    this.leaving = true;
    const served = [...this.live.values()].flatMap((each) => each.served ?? []);
    await Promise.all(served.map((each) => each.leave()));
    this.parts.log.info({ envs: this.live.size }, 'left to another driver');
    setImmediate(vanish);
    return null;
  }

  private async stop(force: boolean, stop: () => void): Promise<null> {
    if (this.live.size > 0 && !force) {
      const message = `the driver of shard ${this.parts.shard} serves ${this.live.size} mounts`;
      throw new ByrefError('busy', message, 'Unmount them first: byref umount --all');
    }
    const { holder } = this.parts;
    for (const { served } of this.live.values()) {
      await served?.abort(() => holder.drop(served.info.env));
    }
    await Promise.all([...this.live.values()].map(({ closed }) => closed));
    setImmediate(stop);
    return null;
  }
}

function keepAccessTimes({ accessRules, delta }: EnvParts, rules: AccessRules): void {
  Object.assign(accessRules, rules);
  delta.files.keepAccessTimes(rules.files);
}

async function serve(
  root: string,
  parts: EnvParts,
  request: MountRequest,
  log: Log,
): Promise<ServedEnv> {
  if (request.transport === 'kernel') return serveKernel(root, parts, request, log);
  // Loaded on demand: it is an optional dependency, and once loaded it keeps the event loop alive for good.
  const { serveFuseNative } = await import('./serve-fuse-native.ts');
  return serveFuseNative(root, parts, request, log);
}
