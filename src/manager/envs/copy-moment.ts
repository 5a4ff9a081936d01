/** Copies an env, running or not, as it is at one moment. */
import { existsSync } from 'node:fs';
import { ByrefError } from '../../base/error.ts';
import { EnvLock } from '../../driver/delta/env-lock.ts';
import type { FileLock } from '../../native/lock-file.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';
import type { DeltaCopy } from './copy-delta.ts';
import { untilDisksAreFree } from './runtime/life-cycle.ts';
import { whileStill } from './runtime/stand-still.ts';
import { envState } from './state.ts';

/** The outcome of copyOfMoment(). */
export interface Copied {
  /** For how long the env stood still, in milliseconds; null: it was stopped. */
  readonly frozenMs: number | null;
  /** True if nothing is left to be recovered in the copy. */
  readonly isClean: boolean;
}

const ALONE = { held: null, areFrozen: false };

/**
 * Copies what an env has of its own, as of one moment.
 * @param lock of its life cycle @param held the lock of its changes, if the caller has it: it is stopped then
 * @param areFrozen true: the caller has its processes stand still
 * @throws ByrefError 'busy' if it is mounted and its driver does not answer; as DeltaCopy.finish()
 */
export async function copyOfMoment(
  store: Store,
  source: EnvRow,
  lock: FileLock,
  copy: DeltaCopy,
  { held, areFrozen }: { held: EnvLock | null; areFrozen: boolean } = ALONE,
): Promise<Copied> {
  const { root } = store;
  const state = await envState(store, source);
  if (state.state === 'stopped' && state.firstPid === null) {
    await untilDisksAreFree(root, source.id);
    return copyClosed(root, source.id, copy, held);
  }
  if (state.served === null) throw isDead(source);
  await copy.ahead();
  const env = areFrozen ? { ...state, firstPid: null } : state;
  const frozenMs = await whileStill(root, env, lock, (journal) => copy.finish(journal));
  return { frozenMs, isClean: false };
}

async function copyClosed(
  root: string,
  env: number,
  copy: DeltaCopy,
  held: EnvLock | null,
): Promise<Copied> {
  const directory = envDir(root, env);
  if (!existsSync(directory)) return { frozenMs: null, isClean: false };
  const lock = held ?? EnvLock.acquire(directory);
  const isClean = lock.wasClean && !lock.wasEmpty;
  try {
    await copy.finish(null);
    return { frozenMs: null, isClean };
  } finally {
    if (held === null) await lock.release(isClean);
  }
}

function isDead({ name }: EnvRow): ByrefError {
  const message = `${name} is mounted, but its driver does not answer`;
  return new ByrefError('busy', message, `Unmount it first: byref umount ${name}`);
}
