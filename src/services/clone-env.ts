import { failpoint } from '../base/failpoints.ts';
import { removeDelta } from '../driver/delta/remove-delta.ts';
import { DeltaCopy } from '../manager/envs/copy-delta.ts';
import { copyOfMoment } from '../manager/envs/copy-moment.ts';
import {
  type FirstMount,
  NOTHING_TOLD,
  passedOn,
  removeSetup,
  writeSetup,
} from '../manager/envs/first-mount/setup.ts';
import { lockLifeCycle } from '../manager/envs/runtime/life-cycle.ts';
import { envState } from '../manager/envs/state.ts';
import { type EnvSummary, summaryOf } from '../manager/envs/summary.ts';
import type { FileLock } from '../native/lock-file.ts';
import { refuseScratchName } from '../store/names.ts';
import type { Patience } from '../store/patience.ts';
import { type EnvRow, envDir, type Store } from '../store/store.ts';

/** The caller's part while an env is cloned. */
export interface CloneHooks {
  readonly patience: Patience;
  /** Ends the work when it is aborted. */
  readonly signal: AbortSignal;
  /** Hears sentences about what the clones do not have. */
  readonly note: (text: string) => void;
}

/** An env that was made like another one. */
export interface EnvCloned extends EnvSummary {
  /**
   * For how long the other env stood still, in milliseconds: its processes, or, if it was mounted without any, what changes it. null: it was
   * stopped.
   */
  readonly frozenMs: number | null;
}

/**
 * Makes envs with the same stack, settings and changes as another one, as of one moment. Their first mounts give each an identity of its
 * own: host name, machine id, ssh host keys. The ports stay with the other one. The store is open for writing.
 *
 * Crash windows. The ids are taken first, and for good; the rows come last. What is left between is directories of envs that
 * do not exist, which the next destroy or gc removes. The other env goes on when this process ends: see whileStill().
 * @throws ByrefError 'busy' if the other one's driver is gone, 'exists', 'usage', 'noSpace'
 */
export async function cloneEnv(
  store: Store,
  source: EnvRow,
  names: readonly string[],
  { patience, signal, note }: CloneHooks,
): Promise<EnvCloned[]> {
  for (const name of names) {
    store.refuseEnvName(name);
    refuseScratchName(name);
  }
  const { root } = store;
  const lock = await lockLifeCycle(root, source, patience);
  const left = new Set<number>();
  try {
    const told = toldOf(root, source);
    const ids = names.map(() => store.reserveEnv());
    for (const id of ids) left.add(id);
    const frozenMs = await copyAll(store, source, lock, ids, signal);
    failpoint('clone-copied');
    for (const id of ids) writeSetup(root, id, told);
    failpoint('clone-set-up');
    const settings = store.settings(source.id);
    if (settings.ports.length > 0)
      note(`the ports stay with ${source.name}: ${settings.ports.join(', ')}`);
    const made: EnvCloned[] = [];
    for (const [i, id] of ids.entries()) {
      const row = store.createReserved(id, names[i]!, source, { ...settings, ports: [] });
      left.delete(id);
      failpoint('clone-made');
      made.push({ ...summaryOf(await envState(store, row)), frozenMs });
    }
    return made;
  } finally {
    for (const id of left) {
      removeSetup(root, id);
      removeDelta(envDir(root, id));
    }
    lock.release();
  }
}

/** What is told of the first mount of a clone: of one that was never mounted, what was told of that, but for the host name. */
function toldOf(root: string, source: EnvRow): FirstMount {
  const told = passedOn(root, source);
  return told === null || told === NOTHING_TOLD ? NOTHING_TOLD : { ...told, hostname: null };
}

/** Copies the changes of an env to all ids. They are on disk when this resolves, to how long the env stood still. */
async function copyAll(
  store: Store,
  source: EnvRow,
  lock: FileLock,
  [first, ...others]: readonly number[],
  signal: AbortSignal,
): Promise<number | null> {
  const { root } = store;
  const copies = [new DeltaCopy(root, source.id, first!, signal)];
  try {
    const { frozenMs, isClean } = await copyOfMoment(store, source, lock, copies[0]!);
    // The others are copies of the same moment, and the env does not wait for them.
    for (const id of others) {
      const copy = new DeltaCopy(root, first!, id, signal);
      copies.push(copy);
      await copy.finish(null);
    }
    if (isClean) for (const copy of copies) copy.markClean();
    await copies[0]!.sync();
    return frozenMs;
  } finally {
    for (const copy of copies) copy.close();
  }
}
