/** A running env whose processes are in files, and stand still until it is known where they go on. */
import { randomBytes } from 'node:crypto';
import { ByrefError } from '../base/error.ts';
import { failpoint } from '../base/failpoints.ts';
import { criuProgram } from '../manager/envs/checkpoint/criu.ts';
import { dumpProcesses } from '../manager/envs/checkpoint/dump.ts';
import { lockNetwork, unlockNetwork } from '../manager/envs/checkpoint/network-lock.ts';
import { endExecServer, refuseUnmovable } from '../manager/envs/checkpoint/plan.ts';
import { imagesIn, removeCheckpoint, writeRecord } from '../manager/envs/checkpoint/record.ts';
import { namespaceOf, placeOf } from '../manager/envs/network/attach-network.ts';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import { freezeEnv, thaw } from '../manager/envs/runtime/freezer.ts';
import { send, stopProcesses } from '../manager/envs/runtime/life-cycle.ts';
import { processesOf } from '../manager/envs/runtime/processes.ts';
import { envState } from '../manager/envs/state.ts';
import { STANDARD_UMOUNT, umountEnv } from '../manager/envs/umount.ts';
import type { FileLock } from '../native/lock-file.ts';
import { syncFileSystem } from '../native/sync-file-system.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { needRunning, refuseFrozen, stackIdentities } from './start-env.ts';

/** How an env is put to sleep. */
export interface SleepOptions {
  /** Where the files come: an empty directory. */
  readonly directory: string;
  /** Of its life cycle; the caller has it. */
  readonly lock: FileLock;
  /** Ends it early; then the env goes on. */
  readonly signal: AbortSignal;
  /** True: the files are to outlive a power cut. */
  readonly durable: boolean;
  /** Is done while the env stands still, and its processes are put into files. */
  readonly beside?: () => Promise<void>;
}

/** Such an env. One of end() and wake() is to be called; whatever ends this process before lets it go on. */
export class SleepingEnv {
  /** The number of the checkpoint. */
  readonly id: string;
  readonly processes: readonly { readonly pid: number }[];
  private readonly store: Store;
  private readonly row: EnvRow;
  private readonly held: Held;

  private constructor(
    store: Store,
    row: EnvRow,
    made: Pick<SleepingEnv, 'id' | 'processes'> & { held: Held },
  ) {
    this.store = store;
    this.row = row;
    this.id = made.id;
    this.processes = made.processes;
    this.held = made.held;
  }

  /** @throws ByrefError 'usage' if it does not run; 'busy' if it is frozen; 'unsupported' for what can't be put into files. Then it goes on */
  static async of(
    store: Store,
    row: EnvRow,
    { directory, lock, signal, durable, beside }: SleepOptions,
  ): Promise<SleepingEnv> {
    const bundle = await readyToSleep(store, row);
    const { isSystemd = false } = bundle.note() ?? {};
    const network = placeOf(bundle);
    const held: Held = [];
    try {
      const frozen = await freezeEnv(store.root, row, lock);
      held.push({ release: () => frozen.thaw(), stay: () => frozen.stay() });
      if (network !== null) held.push(await lockNetwork(namespaceOf(bundle)));
      failpoint('checkpoint-frozen');
      const images = imagesIn(directory);
      const work = [
        dumpProcesses(bundle, row.name, { images, signal }),
        beside?.() ?? Promise.resolve(),
      ];
      for (const done of await Promise.allSettled(work))
        if (done.status === 'rejected') throw done.reason;
      failpoint('checkpoint-dumped');
      const processes = processesOf(needRunning(store.root, row));
      const id = randomBytes(16).toString('hex');
      writeRecord(directory, {
        ...{ id, env: row.name, stack: stackIdentities(store, row), network, isSystemd },
        ...{ processes: processes.length, made: new Date().toISOString() },
      });
      if (durable) await mustSync(directory);
      failpoint('checkpoint-written');
      return new SleepingEnv(store, row, { id, processes, held });
    } catch (error) {
      for (const each of held) await each.release();
      removeCheckpoint(directory);
      throw error;
    }
  }

  /** Lets it go on here. The files stay. */
  async wake(): Promise<void> {
    for (const each of this.held) await each.release();
    await letGo(this.store.root, this.row);
  }

  /** From now on it stands still beyond the end of this process: it may run on another machine by then. */
  async stay(): Promise<void> {
    new BundleDir(this.store.root, this.row.id).noteFrozen(true, true);
    for (const each of this.held) await each.stay();
  }

  /** Ends its processes here, and unmounts it. */
  async end(): Promise<void> {
    const { store, row } = this;
    // All of them, before any is let go: none does anything any more.
    for (const { pid } of this.processes) send(pid, 'SIGKILL');
    const [frozen, network] = this.held;
    await frozen?.release();
    await stopProcesses(store.root, row.id, { timeoutMs: 0 });
    // Not before the namespace is gone: the kernel would tell the other ends of connections that they are closed.
    await network?.release();
    failpoint('checkpoint-stopped');
    await umountEnv(store, await envState(store, row), STANDARD_UMOUNT);
  }
}

/** What is given back: the freezer, and the network if there is one. */
type Held = { release(): Promise<void>; stay(): Promise<void> }[];

/** Lets an env go on that was left standing still because it was to go to another machine. @returns false if it was not */
export async function letGo(root: string, { id }: EnvRow): Promise<boolean> {
  const bundle = new BundleDir(root, id);
  if (!bundle.isToGo) return false;
  if (placeOf(bundle) !== null) await unlockNetwork(namespaceOf(bundle));
  return thaw(root, id);
}

/** Refuses what can't be put to sleep. Returns the bundle. @throws as SleepingEnv.of() */
export async function readyToSleep(store: Store, row: EnvRow): Promise<BundleDir> {
  const first = needRunning(store.root, row);
  refuseFrozen(store.root, row);
  criuProgram();
  const bundle = new BundleDir(store.root, row.id);
  await endExecServer(first);
  refuseUnmovable(store, row, bundle);
  return bundle;
}

async function mustSync(directory: string): Promise<void> {
  const result = await syncFileSystem(directory);
  if (result >= 0) return;
  const message = `${directory} could not be put on disk (errno ${-result})`;
  throw new ByrefError('error', message, 'See the disk; the env goes on.');
}
