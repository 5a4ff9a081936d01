/**
 * Tells whose a throw-away env is: its process holds a lock in the run directory, as long as it lives. Such an env concerns
 * only that process: no list shows it, and no command takes it by its name.
 */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { ByrefError } from '../../base/error.ts';
import { RunDir } from '../../ipc/run-dir.ts';
import { isHeld, signer, tryLock } from '../../native/lock-file.ts';
import { isScratch, snapshotIn } from '../../store/names.ts';
import { describeProcess } from '../../store/patience.ts';
import { type EnvRow, noEnv, type Store } from '../../store/store.ts';

const lockFile = (root: string, env: string): string =>
  path.join(new RunDir(root).path, `${env}.lock`);

/** Makes this process the owner of an env that does not exist yet. */
export function ownScratch(root: string, env: string): { readonly release: () => void } {
  new RunDir(root).create();
  const file = lockFile(root, env);
  const lock = tryLock(file);
  if (lock === null) throw new Error(`${env} has an owner`);
  return {
    release() {
      rmSync(file, { force: true });
      lock.release();
    },
  };
}

/** Returns the pid of the owner; null if that process is gone. */
export function scratchOwner(root: string, env: string): number | null {
  const file = lockFile(root, env);
  return isHeld(file, 'exclusive') ? signer(file) : null;
}

/** Removes the lock file of an env, after its owner's death. */
export const forgetScratch = (root: string, env: string): void =>
  rmSync(lockFile(root, env), { force: true });

/** Names an env for people who are told that it has something in use: a throw-away one is described by its process, a snapshot is ENV@NAME. */
export function userName(store: Store, env: string): string {
  const snapshot = snapshotIn(env);
  if (snapshot !== null) return `${store.env(snapshot.env)?.name ?? snapshot.env}@${snapshot.name}`;
  const owner = isScratch(env) ? scratchOwner(store.root, env) : null;
  return owner === null ? env : describeProcess(owner);
}

/** Returns all envs that people made, oldest first; not their snapshots. */
export const peoplesEnvs = (store: Store): EnvRow[] =>
  store.envs().filter(({ name }) => !isScratch(name) && snapshotIn(name) === null);

/** Returns the throw-away envs whose process is gone. */
export const abandonedEnvs = (store: Store): EnvRow[] =>
  store.envs().filter(({ name }) => isScratch(name) && scratchOwner(store.root, name) === null);

/** Finds an env by name or id, as people give it. @throws ByrefError 'notFound', 'busy' for a throw-away env that is in use */
export function needPeoplesEnv(store: Store, nameOrId: string): EnvRow {
  const row = store.needEnv(nameOrId);
  // Its id is no name of an env, nor is that of its row.
  if (snapshotIn(row.name) !== null) throw noEnv(nameOrId);
  const owner = isScratch(row.name) ? scratchOwner(store.root, row.name) : null;
  if (owner === null) return row;
  const message = `${row.name} is the throw-away env of ${describeProcess(owner)}, which is using it`;
  throw new ByrefError('busy', message, 'It goes when that process ends.');
}
