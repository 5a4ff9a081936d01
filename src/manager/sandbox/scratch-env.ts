/**
 * Throw-away envs: something is installed in one, and what that changed becomes a template. It is an env like any other, so
 * that programs find in it what they will find later. It is removed at the end or, if we were killed, when the next one
 * begins. No other process sees it or may touch it: see owner.ts.
 */
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { ByrefError } from '../../base/error.ts';
import { isNoSpace } from '../../base/no-space.ts';
import { TEMPORARY_DIR } from '../../base/temporary-dir.ts';
import { isScratch, scratchName } from '../../store/names.ts';
import { makeScratchDir, scratchDir } from '../../store/root.ts';
import type { EnvRow, StackRef, Store } from '../../store/store.ts';
import { destroyEnv, sweepEnvDirs } from '../envs/destroy.ts';
import { mountEnv } from '../envs/mount.ts';
import { envState } from '../envs/state.ts';
import { umountEnv } from '../envs/umount.ts';
import { forgetScratch, ownScratch, scratchOwner } from './owner.ts';
import type { StoreAccess } from './store-access.ts';

/** A throw-away env, mounted. */
export interface ScratchEnv {
  readonly row: EnvRow;
  /** The versions that it is on; they do not change. */
  readonly stack: readonly StackRef[];
  /** The path of its root. */
  readonly mountpoint: string;
}

/** How withScratchEnv() makes the env. */
export interface ScratchOptions {
  /** References with versions, the OS template first. */
  readonly stack: readonly string[];
  /** Notes which program writes what. */
  readonly trace?: boolean;
}

let made = 0;

/** Returns a name for a throw-away env that this process has not given yet. */
export const nextScratchName = (): string => scratchName(process.pid, ++made);

/**
 * Makes a throw-away env, mounts it, and removes it after `work`. The versions in its stack are kept as long as it exists, so
 * what is made from it is best committed within `work`.
 * @throws ByrefError 'noSpace'; any error that `work` throws
 */
export async function withScratchEnv<T>(
  access: StoreAccess,
  { stack, trace = false }: ScratchOptions,
  work: (env: ScratchEnv) => Promise<T>,
): Promise<T> {
  const name = nextScratchName();
  const owned = await access.write(async (store) => {
    await sweepScratchEnvs(store);
    const owner = ownScratch(store.root, name);
    try {
      store.createEnv({ name, stack });
    } catch (error) {
      owner.release();
      throw error;
    }
    return owner;
  });
  try {
    return await work(await access.read((store) => mount(store, name, trace)));
  } catch (cause) {
    throw asSentence(cause);
  } finally {
    await remove(access, name).finally(owned.release);
  }
}

/** Turns the error of a full disk into a sentence. Which disk is full, an error from an env or a program does not say. */
function asSentence(cause: unknown): unknown {
  if (cause instanceof ByrefError || !isNoSpace(cause)) return cause;
  const hint = `Free some space below the root and in ${TEMPORARY_DIR}, then try again.`;
  return new ByrefError('noSpace', 'no space left on the device', hint, { cause });
}

async function mount(store: Store, name: string, trace: boolean): Promise<ScratchEnv> {
  const row = store.needEnv(name);
  const at = makeScratchDir(store.root, name);
  const options = { transport: 'kernel', passthrough: true, at, trace } as const;
  const { mountpoint } = await mountEnv(store, await envState(store, row), options);
  return { row, stack: store.resolveStack(row), mountpoint };
}

/** Removes the env. Our own programs in it have ended; any other that uses it gets errors. */
async function remove(access: StoreAccess, name: string): Promise<void> {
  // Its driver writes what it has in memory, which may take long, and others need not wait for that.
  await access.read(async (store) => {
    const row = store.env(name);
    if (row === null) return;
    const env = await envState(store, row);
    if (env.state !== 'stopped') await umountEnv(store, env, { lazy: false, force: true });
  });
  await access.write(async (store) => {
    const row = store.env(name);
    if (row !== null) await destroyEnv(store, row, true);
  });
}

/** Removes the throw-away envs whose process is gone. The store is open for writing. */
export async function sweepScratchEnvs(store: Store): Promise<void> {
  for (const row of store.envs()) {
    if (isScratch(row.name) && scratchOwner(store.root, row.name) === null) {
      await destroyEnv(store, row, true);
      forgetScratch(store.root, row.name);
    }
  }
  // Left by a process that was killed while it removed its own env.
  sweepEnvDirs(store);
  sweepScratchDirs(store);
}

/** Does the same as sweepScratchEnvs(); if there is none, costs nothing even for a root with many envs. */
export async function sweepScratchEnvsIfAny(store: Store): Promise<void> {
  if (mountedOnce(store.root).length > 0) await sweepScratchEnvs(store);
}

/** Removes the directories on which swept envs were mounted. */
function sweepScratchDirs(store: Store): void {
  for (const name of mountedOnce(store.root)) {
    if (store.env(name) === null) removeDir(scratchDir(store.root, name));
  }
}

function mountedOnce(root: string): string[] {
  const directory = scratchDir(root, '.');
  return existsSync(directory) ? readdirSync(directory) : [];
}

function removeDir(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // In use by somebody; the next sweep tries again.
  }
}
