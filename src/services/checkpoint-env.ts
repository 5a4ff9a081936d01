/** Puts the processes of running envs to sleep: into files, from which they go on later. */
import { rmdirSync } from 'node:fs';
import {
  checkpointBytes,
  makeCheckpointDir,
  markAsleep,
} from '../manager/envs/checkpoint/record.ts';
import { lockLifeCycle } from '../manager/envs/runtime/life-cycle.ts';
import type { Patience } from '../store/patience.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { SleepingEnv } from './sleeping-env.ts';
import { needRunning } from './start-env.ts';

/** An env whose processes are in files. */
export interface EnvCheckpointed {
  readonly env: number;
  readonly name: string;
  readonly directory: string;
  readonly processes: number;
  /** How much the files hold. */
  readonly bytes: number;
}

/** The caller's part. */
export interface CheckpointHooks {
  readonly patience: Patience;
  readonly signal: AbortSignal;
}

/**
 * Puts the processes of a running env into a directory, ends them, and unmounts the env. Until it is mounted or started otherwise, it goes on from there:
 * startEnv() with `from`. Whatever ends this before the processes are in files, and those on disk, leaves the env running.
 * @throws ByrefError as SleepingEnv.of(); 'usage' if something is at the directory's place
 */
export async function checkpointEnv(
  store: Store,
  row: EnvRow,
  directory: string,
  { patience, signal }: CheckpointHooks,
): Promise<EnvCheckpointed> {
  const { root } = store;
  const lock = await lockLifeCycle(root, row, patience);
  try {
    needRunning(root, row);
    const isNew = makeCheckpointDir(directory);
    const options = { directory, lock, signal, durable: true };
    const asleep = await SleepingEnv.of(store, row, options).catch((error: unknown) => {
      if (isNew) rmdirSync(directory);
      throw error;
    });
    await asleep.end();
    markAsleep(root, row.id, asleep.id);
    const bytes = checkpointBytes(directory);
    const processes = asleep.processes.length;
    return { env: row.id, name: row.name, directory, processes, bytes };
  } finally {
    lock.release();
  }
}
