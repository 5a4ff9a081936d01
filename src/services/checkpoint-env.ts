/** Puts the processes of running envs to sleep: into files, from which they go on later. */
import { randomBytes } from 'node:crypto';
import { ByrefError } from '../base/error.ts';
import { failpoint } from '../base/failpoints.ts';
import { dumpProcesses } from '../manager/envs/checkpoint/dump.ts';
import { lockNetwork } from '../manager/envs/checkpoint/network-lock.ts';
import { endExecServer, refuseUnmovable } from '../manager/envs/checkpoint/plan.ts';
import {
  checkpointBytes,
  imagesIn,
  makeCheckpointDir,
  markAsleep,
  removeCheckpoint,
  writeRecord,
} from '../manager/envs/checkpoint/record.ts';
import { namespaceOf, placeOf } from '../manager/envs/network/attach-network.ts';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import { freezeEnv } from '../manager/envs/runtime/freezer.ts';
import { lockLifeCycle, stopProcesses } from '../manager/envs/runtime/life-cycle.ts';
import { processesOf } from '../manager/envs/runtime/processes.ts';
import { envState } from '../manager/envs/state.ts';
import { STANDARD_UMOUNT, umountEnv } from '../manager/envs/umount.ts';
import { syncFileSystem } from '../native/sync-file-system.ts';
import type { Patience } from '../store/patience.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { needRunning, refuseFrozen, stackIdentities } from './start-env.ts';

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
 * @throws ByrefError 'usage' if it does not run, or something is in the way; 'busy' if it is frozen; 'unsupported' for what can't be put into files
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
    const first = needRunning(root, row);
    refuseFrozen(root, row);
    const bundle = new BundleDir(root, row.id);
    const note = bundle.note();
    await endExecServer(bundle, first);
    refuseUnmovable(store, row, bundle);
    makeCheckpointDir(directory);
    const network = placeOf(bundle);
    const frozen = await freezeEnv(root, row, lock);
    try {
      const networkLock = network === null ? null : await lockNetwork(namespaceOf(bundle));
      try {
        failpoint('checkpoint-frozen');
        const images = imagesIn(directory);
        await dumpProcesses(bundle, row.name, { images, emptyNetwork: network !== null, signal });
        failpoint('checkpoint-dumped');
        const processes = processesOf(first);
        const id = randomBytes(16).toString('hex');
        writeRecord(directory, {
          ...{ id, env: row.name, stack: stackIdentities(store, row), network },
          ...{ isSystemd: note?.isSystemd ?? false, processes: processes.length },
          made: new Date().toISOString(),
        });
        await mustSync(directory);
        failpoint('checkpoint-written');
        // All of them, before any is let go.
        for (const { pid } of processes) process.kill(pid, 'SIGKILL');
        await frozen.thaw();
        await stopProcesses(root, row.id, { timeoutMs: 0 });
        failpoint('checkpoint-stopped');
        await umountEnv(store, await envState(store, row), STANDARD_UMOUNT);
        markAsleep(root, row.id, id);
        const bytes = checkpointBytes(directory);
        return { env: row.id, name: row.name, directory, processes: processes.length, bytes };
      } finally {
        await networkLock?.release();
      }
    } catch (error) {
      removeCheckpoint(directory);
      throw error;
    } finally {
      await frozen.thaw();
    }
  } finally {
    lock.release();
  }
}

async function mustSync(directory: string): Promise<void> {
  const result = await syncFileSystem(directory);
  if (result >= 0) return;
  const message = `${directory} could not be put on disk (errno ${-result})`;
  throw new ByrefError('error', message, 'See the disk; the env goes on.');
}
