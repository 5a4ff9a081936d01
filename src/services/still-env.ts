import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { EnvLock } from '../driver/delta/env-lock.ts';
import { LOCK_FILE } from '../driver/delta/layout.ts';
import type { CopyHooks, StillHooks } from '../manager/envs/copy-at-rest.ts';
import { destroyLocked } from '../manager/envs/destroy.ts';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import { lockLifeCycle, stopProcesses } from '../manager/envs/runtime/life-cycle.ts';
import { envState } from '../manager/envs/state.ts';
import { STANDARD_UMOUNT, umountEnv } from '../manager/envs/umount.ts';
import type { FileLock } from '../native/lock-file.ts';
import { type EnvRow, envDir, type Store } from '../store/store.ts';
import { needStopped } from './need-stopped.ts';

/** An env that stands still, stopped, until it is gone or goes on here: nobody starts or mounts it meanwhile. */
export class StillEnv {
  readonly hooks: Required<Pick<StillHooks, 'locks'>>;
  /** What stampOf() was before. */
  readonly stamp: string;
  private readonly root: string;
  private readonly env: number;

  private constructor(
    root: string,
    env: number,
    stamp: string,
    lifeCycle: FileLock,
    delta: EnvLock | null,
  ) {
    this.root = root;
    this.stamp = stamp;
    this.env = env;
    this.hooks = { locks: { lifeCycle, delta } };
  }

  /** Stops an env. @throws ByrefError 'busy' if something has it in use */
  static async of(
    store: Store,
    row: EnvRow,
    timeoutMs: number,
    hooks: CopyHooks,
  ): Promise<StillEnv> {
    const { root } = store;
    const lock = await lockLifeCycle(root, row, hooks.patience);
    try {
      await stopProcesses(root, row.id, { timeoutMs });
      await umountEnv(store, await envState(store, row), STANDARD_UMOUNT);
      await needStopped(store, row, '');
      const directory = envDir(root, row.id);
      const stamp = stampOf(store, row);
      const delta = existsSync(directory) ? EnvLock.acquire(directory) : null;
      return new StillEnv(root, row.id, stamp, lock, delta);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Removes the env. */
  async remove(store: Store, row: EnvRow): Promise<void> {
    const { lifeCycle, delta } = this.hooks.locks;
    await destroyLocked(store, row, delta);
    rmSync(new BundleDir(this.root, this.env).lock, { force: true });
    lifeCycle.release();
  }

  /** Lets others have it. */
  async release(): Promise<void> {
    const { lifeCycle, delta } = this.hooks.locks;
    await delta?.release(delta.wasClean && !delta.wasEmpty);
    lifeCycle.release();
  }
}

/**
 * Returns a text that is the same for as long as nothing of an env changes that is stopped: whoever mounts it, or changes its files otherwise, takes the lock of
 * its changes, which writes to that.
 */
export function stampOf(store: Store, row: EnvRow): string {
  const file = path.join(envDir(store.root, row.id), LOCK_FILE);
  const stat = statSync(file, { throwIfNoEntry: false, bigint: true });
  const lock =
    stat === undefined ? '' : `${stat.ino} ${stat.ctimeNs} ${readFileSync(file, 'latin1')}`;
  const facts = [lock, store.plainStack(row), row.stack, store.settings(row.id)];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}
