/** Copies an env, and brings the copy to rest: then it is as one that was closed properly, and nobody has to recover it. */
import { mkdirSync } from 'node:fs';
import { ByrefError } from '../../base/error.ts';
import type { EnvLock } from '../../driver/delta/env-lock.ts';
import { openDelta } from '../../driver/delta/open-delta.ts';
import type { FileLock } from '../../native/lock-file.ts';
import type { Patience } from '../../store/patience.ts';
import { type EnvRow, envDir, type Store } from '../../store/store.ts';
import { DeltaCopy } from './copy-delta.ts';
import { copyOfMoment } from './copy-moment.ts';
import type { IsKnown } from './copy-private.ts';
import { lockLifeCycle } from './runtime/life-cycle.ts';

/** The caller's part while an env is copied. */
export interface CopyHooks {
  readonly patience: Patience;
  /** Ends the work when it is aborted. */
  readonly signal: AbortSignal;
}

/** The same of a caller that may have the env's locks. */
export interface StillHooks extends CopyHooks {
  readonly locks?: {
    readonly lifeCycle: FileLock;
    /** Of its changes, if it is stopped. */
    readonly delta: EnvLock | null;
    /** True: its processes stand still, and the caller lets them go on. */
    readonly areFrozen?: boolean;
  };
}

/** A copy of an env. */
export interface EnvCopy {
  /** For how long the env stood still, in milliseconds; null: it was stopped. */
  readonly frozenMs: number | null;
  readonly files: DeltaCopy['files'];
}

/**
 * Copies what an env has of its own, as of one moment, into the directory of an env that does not exist. All that it changed is in
 * the link table of the copy then, which is not on disk yet.
 * @param isKnown as of PrivateCopies @param volumes false: without what is in volumes
 * @throws ByrefError 'busy' if the env's driver is gone, 'corrupt' if it is damaged, 'noSpace'
 */
export async function copyAtRest(
  store: Store,
  row: EnvRow,
  id: number,
  { patience, signal, locks }: StillHooks,
  isKnown?: IsKnown,
  volumes = true,
): Promise<EnvCopy> {
  const { root } = store;
  const lock = locks?.lifeCycle ?? (await lockLifeCycle(root, row, patience));
  const { delta: held = null, areFrozen = false } = locks ?? {};
  const delta = new DeltaCopy(root, row.id, id, signal, isKnown, volumes);
  let frozenMs: number | null = null;
  try {
    ({ frozenMs } = await copyOfMoment(store, row, lock, delta, { held, areFrozen }));
  } finally {
    delta.close();
    if (locks === undefined) lock.release();
  }
  const directory = envDir(root, id);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const opened = await openDelta(directory, {
    openObject: (object, size) => store.objects.open(object, size),
  });
  const { readOnly } = opened;
  await opened.close();
  if (readOnly === null) return { frozenMs, files: delta.files };
  const hint = 'See what is damaged: byref fsck';
  throw new ByrefError('corrupt', `${row.name} is damaged: ${readOnly}`, hint);
}
