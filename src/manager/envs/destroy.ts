import { existsSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { failpoint } from '../../base/failpoints.ts';
import { EnvLock } from '../../driver/delta/env-lock.ts';
import { DISCARD_MARK } from '../../driver/delta/layout.ts';
import { removeDelta } from '../../driver/delta/remove-delta.ts';
import { forgetDelta } from '../../store/delta-marks.ts';
import { scratchDir } from '../../store/root.ts';
import {
  type EnvRow,
  envDir,
  envOfEntry,
  envsDir,
  mountDir,
  type Store,
  usersDir,
} from '../../store/store.ts';
import { removeSetup } from './first-mount/setup.ts';
import { type EnvState, envState } from './state.ts';
import { type UmountOutcome, umountEnv } from './umount.ts';

/** Removes an env, with its snapshots and all it holds. The store is open for writing. @throws ByrefError 'busy', 'locked' */
export async function destroyEnv(store: Store, row: EnvRow, force: boolean): Promise<void> {
  await ensureUnmounted(store, row, force);
  failpoint('destroy-unmounted');
  const directory = envDir(store.root, row.id);
  // Under the env's lock, no driver can be opening it meanwhile.
  await destroyLocked(store, row, existsSync(directory) ? EnvLock.acquire(directory) : null);
}

/** Does the same with an env of which the caller has the lock, which it gives up; null: it has no directory. */
export async function destroyLocked(
  store: Store,
  row: EnvRow,
  lock: EnvLock | null,
): Promise<void> {
  // The row goes first: a crash after it leaves files of an env that does not exist, which the next
  // destroy sweeps; never an env without its files.
  const snapshots = store.snapshots(row.id);
  store.removeEnv(row.id);
  for (const { id } of [row, ...snapshots]) removeEnvFiles(store, id);
  await lock?.release(false);
  for (const directory of [mountDir, usersDir, scratchDir]) {
    removeMountDir(directory(store.root, row.name));
  }
  sweepEnvDirs(store);
}

/** Removes what is left of an env whose row is gone. */
export function removeEnvFiles({ root }: Store, id: number): void {
  removeDelta(envDir(root, id));
  removeSetup(root, id);
  forgetDelta(root, id);
}

async function ensureUnmounted(store: Store, row: EnvRow, force: boolean): Promise<void> {
  const env = await envState(store, row);
  const { state, mount } = env;
  if (state === 'stopped') return;
  if (!force) {
    const where = mount ? ` on ${mount.mountpoint}` : '';
    const hint = `Unmount it first (byref umount ${row.name}), or add --force.`;
    throw new ByrefError('busy', `${row.name} is mounted${where}`, hint);
  }
  if ((await umountToDestroy(store, env)) === 'detached') {
    const hint = `See which programs use it: byref info ${row.name}`;
    throw new ByrefError('busy', `${row.name} is still in use`, hint);
  }
}

/** Unmounts an env without its driver putting on disk what it holds. */
async function umountToDestroy(store: Store, env: EnvState): Promise<UmountOutcome> {
  const mark = path.join(envDir(store.root, env.row.id), DISCARD_MARK);
  try {
    writeFileSync(mark, '', { mode: 0o600 });
  } catch {
    // Its directory is gone, or the disk full: it is closed as any other.
  }
  try {
    return await umountEnv(store, env, { lazy: false, force: true });
  } finally {
    rmSync(mark, { force: true });
  }
}

/** Removes a directory, not recursively: what somebody put into it is not ours. */
function removeMountDir(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Gone already, or in use by somebody.
  }
}

/**
 * Removes directories of envs whose row is gone. Only the writer may call this. Ids are never used again, so no such env can
 * come back.
 */
export function sweepEnvDirs(store: Store): void {
  const root = envsDir(store.root);
  for (const name of readdirSync(root)) {
    const env = envOfEntry(name);
    if (env === null || store.env(env) !== null || store.mayBeLost(env)) continue;
    removeDelta(path.join(root, name));
  }
}
