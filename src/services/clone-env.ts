import { rmSync } from 'node:fs';
import { ByrefError } from '../base/error.ts';
import { failpoint } from '../base/failpoints.ts';
import { copyDelta } from '../manager/envs/copy-delta.ts';
import {
  NOTHING_TOLD,
  readSetup,
  removeSetup,
  writeSetup,
} from '../manager/envs/first-mount/setup.ts';
import { lockLifeCycle, untilDisksAreFree } from '../manager/envs/runtime/life-cycle.ts';
import { envState } from '../manager/envs/state.ts';
import { type EnvSummary, summaryOf } from '../manager/envs/summary.ts';
import { refuseScratchName } from '../store/names.ts';
import type { Patience } from '../store/patience.ts';
import { type EnvRow, envDir, type Store } from '../store/store.ts';
import { needStopped } from './need-stopped.ts';

/** The caller's part while an env is cloned. */
export interface CloneHooks {
  readonly patience: Patience;
  /** Ends the work when it is aborted. */
  readonly signal: AbortSignal;
}

/** An env that was cloned. */
export interface EnvCloned {
  readonly summary: EnvSummary;
  /** Sentences about what the clone does not have. */
  readonly notes: readonly string[];
}

/**
 * Makes an env with the same stack, settings and changes as another one, which has to be stopped. Its first mount gives it an
 * identity of its own: host name, machine id, ssh host keys. Its ports stay with the other one. The store is open for
 * writing.
 *
 * Crash windows. The id is taken first, and for good; the row comes last. What is left between is a directory of an env that
 * does not exist, which the next destroy or gc removes.
 * @throws ByrefError 'busy' while the other one is mounted, 'exists', 'usage', 'noSpace'
 */
export async function cloneEnv(
  store: Store,
  source: EnvRow,
  name: string,
  { patience, signal }: CloneHooks,
): Promise<EnvCloned> {
  store.refuseEnvName(name);
  refuseScratchName(name);
  const { root } = store;
  const lock = await lockLifeCycle(root, source, patience);
  try {
    await needStopped(store, source, 'A copy of it now would be of no single moment. ');
    await untilDisksAreFree(root, source.id);
    const id = store.reserveEnv();
    try {
      await copyDelta(root, source.id, id, signal);
      failpoint('clone-copied');
      // What was told of the first mount of one that was never mounted was told of its clones, but for the host name.
      const told = readSetup(root, source.id);
      if (told !== null && told.files.length > 0) throw notMountedYet(source);
      writeSetup(root, id, told === null ? NOTHING_TOLD : { ...told, hostname: null });
      failpoint('clone-set-up');
      const settings = store.settings(source.id);
      const row = store.createReserved(id, name, source, { ...settings, ports: [] });
      const stopped = await envState(store, row);
      return { summary: summaryOf(stopped), notes: notesOf(source, settings.ports) };
    } catch (error) {
      removeSetup(root, id);
      rmSync(envDir(root, id), { recursive: true, force: true });
      throw error;
    }
  } finally {
    lock.release();
  }
}

function notMountedYet({ name }: EnvRow): ByrefError {
  const message = `${name} was never mounted, and has files to be put into it then`;
  return new ByrefError(
    'usage',
    message,
    `Mount it once: byref mount ${name}; byref umount ${name}`,
  );
}

const notesOf = ({ name }: EnvRow, ports: readonly string[]): string[] =>
  ports.length === 0 ? [] : [`the ports stay with ${name}: ${ports.join(', ')}`];
