/** A running env that goes to another machine with its processes: they stand still until they run there, or go on here. */
import { mkdirSync, rmSync } from 'node:fs';
import { imagesIn, markAsleep, readRecord } from '../manager/envs/checkpoint/record.ts';
import type { CopyHooks, StillHooks } from '../manager/envs/copy-at-rest.ts';
import { destroyLocked } from '../manager/envs/destroy.ts';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import { lockLifeCycle } from '../manager/envs/runtime/life-cycle.ts';
import { processesOf } from '../manager/envs/runtime/processes.ts';
import type { Outgoing } from '../manager/moves/outgoing.ts';
import { BaseImages, encodeImages } from '../manager/moves/page-delta.ts';
import type { FileLock } from '../native/lock-file.ts';
import type { EnvRow, Store } from '../store/store.ts';
import type { Wire } from './move-wire.ts';
import { SleepingEnv } from './sleeping-env.ts';

/** Of less memory, it is not worth while to send it twice, in bytes. */
const EARLY_MIN = 2 ** 23;

/**
 * Sends the processes of an env that goes on, for which it stands still for a moment: of what is sent later, only what differs travels then.
 * @returns the images that the other side has; none if the env has too little memory for that
 */
export async function sendEarly(
  store: Store,
  row: EnvRow,
  wire: Wire,
  outgoing: Outgoing,
  hooks: CopyHooks,
): Promise<BaseImages> {
  const first = new BundleDir(store.root, row.id).firstProcess();
  const memory = first === null ? [] : processesOf(first).map((each) => each.memoryBytes);
  if (memory.reduce((sum, bytes) => sum + bytes, 0) < EARLY_MIN) return new BaseImages(null);
  const directory = fresh(outgoing.checkpoint('early'));
  const lock = await lockLifeCycle(store.root, row, hooks.patience);
  try {
    const { signal } = hooks;
    const asleep = await SleepingEnv.of(store, row, { directory, lock, signal, durable: false });
    await asleep.wake();
  } finally {
    lock.release();
  }
  await wire.send({ processes: null });
  await wire.sendAll(encodeImages(imagesIn(directory), new BaseImages(null)));
  return new BaseImages(imagesIn(directory));
}

/** Such an env that stands still. */
export class LiveEnv {
  private readonly asleep: SleepingEnv;
  private readonly lock: FileLock;
  private readonly root: string;
  private readonly env: number;
  private readonly directory: string;

  private constructor(
    { root }: Store,
    { id }: EnvRow,
    asleep: SleepingEnv,
    lock: FileLock,
    directory: string,
  ) {
    this.root = root;
    this.env = id;
    this.asleep = asleep;
    this.lock = lock;
    this.directory = directory;
  }

  /**
   * @param sendFiles sends the last of its files; its processes are put into files meanwhile
   * @throws ByrefError as SleepingEnv.of(), and what `sendFiles` throws; then it goes on
   */
  static async of(
    store: Store,
    row: EnvRow,
    outgoing: Outgoing,
    hooks: CopyHooks,
    sendFiles: (still: StillHooks) => Promise<unknown>,
  ): Promise<LiveEnv> {
    const { patience, signal } = hooks;
    const lock = await lockLifeCycle(store.root, row, patience);
    const directory = fresh(outgoing.checkpoint('last'));
    try {
      const asleep = await SleepingEnv.of(store, row, {
        ...{ directory, lock, signal, durable: false },
        beside: async () => {
          await sendFiles({ ...hooks, locks: { lifeCycle: lock, delta: null, areFrozen: true } });
        },
      });
      return new LiveEnv(store, row, asleep, lock, directory);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Sends its processes, after its files. @param base what the other side has */
  async send(wire: Wire, base: BaseImages): Promise<void> {
    await wire.send({ processes: readRecord(this.directory) });
    await wire.sendAll(encodeImages(imagesIn(this.directory), base));
  }

  /** Is called before the other side may let it run. */
  stay(): Promise<void> {
    return this.asleep.stay();
  }

  /** Removes the env: it runs there. */
  async remove(store: Store, row: EnvRow): Promise<void> {
    await this.asleep.end();
    await destroyLocked(store, row, null);
    rmSync(new BundleDir(this.root, this.env).lock, { force: true });
    this.lock.release();
  }

  /** Lets it go on here. */
  async release(): Promise<void> {
    await this.asleep.wake();
    this.lock.release();
  }

  /** Ends its processes here: it is not known whether they run there. They can go on from the directory that this returns. */
  async leaveAsleep(): Promise<string> {
    await this.asleep.end();
    markAsleep(this.root, this.env, this.asleep.id);
    this.lock.release();
    return this.directory;
  }
}

function fresh(directory: string): string {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { mode: 0o700 });
  return directory;
}
