import { existsSync, rmSync } from 'node:fs';
import { ByrefError } from '../base/error.ts';
import { failpoint } from '../base/failpoints.ts';
import { EnvLock } from '../driver/delta/env-lock.ts';
import { removeDelta } from '../driver/delta/remove-delta.ts';
import type { CopyHooks } from '../manager/envs/copy-at-rest.ts';
import { DeltaCopy } from '../manager/envs/copy-delta.ts';
import { copyOfMoment } from '../manager/envs/copy-moment.ts';
import { removeEnvFiles } from '../manager/envs/destroy.ts';
import { passedOn, removeSetup, writeSetup } from '../manager/envs/first-mount/setup.ts';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import { lockLifeCycle, stopProcesses } from '../manager/envs/runtime/life-cycle.ts';
import { needSnapshot, readSnapshotNote } from '../manager/envs/snapshots.ts';
import { entryAt, pinnedNotes } from '../manager/envs/stack-of-moment.ts';
import { envState } from '../manager/envs/state.ts';
import { type EnvSummary, summaryOf } from '../manager/envs/summary.ts';
import { STANDARD_UMOUNT, umountEnv } from '../manager/envs/umount.ts';
import type { FileLock } from '../native/lock-file.ts';
import { type EnvRow, envDir, type StackRef, type Store } from '../store/store.ts';
import { composeStack } from './compose-stack.ts';
import { needStopped } from './need-stopped.ts';

/** How an env is taken back to a snapshot. */
export interface RestoreSnapshotOptions {
  /** It is stopped first; how long its programs may take to end, in milliseconds. null: one that is not stopped is refused. */
  readonly stopMs: number | null;
}

/** The caller's part while an env is taken back. */
export interface RestoreSnapshotHooks extends CopyHooks {
  /** Hears sentences about what the env has otherwise than it had. */
  readonly note: (text: string) => void;
}

/** An env that was taken back to a snapshot. */
export interface SnapshotRestored extends EnvSummary {
  readonly snapshot: string;
}

/**
 * Takes an env back to a snapshot: its files, its templates at the versions that it saw, its volumes and settings; the ports stay as they are
 * now. All that came after is lost, but for other snapshots. The store is open for writing.
 *
 * The env gets another id: a copy of the snapshot takes its place in one transaction. Crash windows: before it, what is left is the copy, after it,
 * the former env's directory; neither has a row then, and the next destroy or gc removes it.
 * @throws ByrefError 'busy' if it is mounted or runs, 'notFound', 'corrupt', 'noSpace'
 */
export async function restoreSnapshot(
  store: Store,
  row: EnvRow,
  name: string,
  { stopMs }: RestoreSnapshotOptions,
  hooks: RestoreSnapshotHooks,
): Promise<SnapshotRestored> {
  const { root } = store;
  needSnapshot(store, row, name);
  const lock = await lockLifeCycle(root, row, hooks.patience);
  try {
    // Another command may have removed it meanwhile.
    const snapshot = needSnapshot(store, row, name);
    const versions = (): StackRef[] => store.plainStack(snapshot);
    await composeStack(store, versions, hooks.signal);
    if (stopMs !== null) await stop(store, row, stopMs);
    await needStopped(store, row, 'A restore replaces its files; --stop stops it. ');
    const directory = envDir(root, row.id);
    // Under the env's lock, no driver can be opening it meanwhile.
    const held = existsSync(directory) ? EnvLock.acquire(directory) : null;
    const made = await replace(store, row, snapshot, lock, hooks).catch(async (error: unknown) => {
      await held?.release(held.wasClean && !held.wasEmpty);
      throw error;
    });
    failpoint('restore-replaced');
    removeEnvFiles(store, row.id);
    await held?.release(false);
    rmSync(new BundleDir(root, row.id).lock, { force: true });
    return { ...summaryOf(await envState(store, made)), snapshot: name };
  } finally {
    lock.release();
  }
}

async function stop(store: Store, row: EnvRow, timeoutMs: number): Promise<void> {
  await stopProcesses(store.root, row.id, { timeoutMs });
  const state = await envState(store, row);
  if ((await umountEnv(store, state, STANDARD_UMOUNT)) !== 'detached') return;
  const hint = `See which programs use it: byref info ${row.name}`;
  throw new ByrefError('busy', `${row.name} is still in use`, hint);
}

async function replace(
  store: Store,
  row: EnvRow,
  snapshot: EnvRow,
  lock: FileLock,
  { signal, note }: RestoreSnapshotHooks,
): Promise<EnvRow> {
  const { root } = store;
  const { follows } = readSnapshotNote(root, snapshot.id);
  const id = store.reserveEnv();
  const copy = new DeltaCopy(root, snapshot.id, id, signal);
  try {
    await copyOfMoment(store, snapshot, lock, copy);
    copy.markClean();
    await copy.sync();
    failpoint('restore-copied');
    const told = passedOn(root, snapshot);
    if (told !== null) writeSetup(root, id, told);
    const stack = store
      .plainStack(snapshot)
      .map((ref, i) => entryAt(store, ref, follows[i] ?? false));
    for (const text of pinnedNotes(stack, follows)) note(text);
    const { ports } = store.settings(row.id);
    failpoint('restore-whole');
    return store.replaceEnv(row, id, stack, { ...store.settings(snapshot.id), ports });
  } catch (error) {
    removeSetup(root, id);
    removeDelta(envDir(root, id));
    throw error;
  } finally {
    copy.close();
  }
}
