/** Starts and stops envs: their processes, and the mounts that those need. */
import { availableParallelism } from 'node:os';
import { ByrefError } from '../base/error.ts';
import { failpoint } from '../base/failpoints.ts';
import type { EnvSettings } from '../codec/env-settings.ts';
import { asleepFrom, markAsleep, readRecord } from '../manager/envs/checkpoint/record.ts';
import { mountEnv, STANDARD_MOUNT } from '../manager/envs/mount.ts';
import { BundleDir, type Ended } from '../manager/envs/runtime/bundle-dir.ts';
import { isFrozen } from '../manager/envs/runtime/freezer.ts';
import { keepReadyForMoves } from '../manager/envs/runtime/group-moves.ts';
import type { Output } from '../manager/envs/runtime/launch.ts';
import {
  lockLifeCycle,
  type StopOptions,
  type StopOutcome,
  stopProcesses,
} from '../manager/envs/runtime/life-cycle.ts';
import { type Asleep, networkOf, startProcesses } from '../manager/envs/runtime/start-processes.ts';
import { envState } from '../manager/envs/state.ts';
import { STANDARD_UMOUNT, umountEnv } from '../manager/envs/umount.ts';
import { peoplesEnvs } from '../manager/sandbox/owner.ts';
import type { Patience } from '../store/patience.ts';
import type { EnvRow, Store } from '../store/store.ts';
import type { Ready } from './await-ready.ts';
import { isReadOnly, keepMachineFiles, setUp, setUpLeft, tellLosses } from './mount-env.ts';

/**
 * How many envs are started at a time. Half of a start is waiting, for the runtime and for the programs that connect the env, so
 * more than there are processors.
 */
export const STARTED_AT_ONCE = 2 * availableParallelism();

/** The caller's part when an env is started. */
export interface StartHooks {
  readonly patience: Patience;
  /** Is called with remarks about a first mount, in sentences. */
  readonly note: (text: string) => void;
}

/** What of an env's start is not as its settings say. */
export interface StartOptions {
  /** Its first process, instead of the one that is set. */
  readonly init?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** What becomes of its output; it is kept if this is not given. */
  readonly output?: Output;
  /** The directory of a checkpoint that its processes go on from. */
  readonly from?: string;
}

/** The outcome of a start. */
export interface EnvStarted {
  readonly env: number;
  readonly name: string;
  /** The machine's id of its first process. */
  readonly pid: number;
  /** True if it was running already, so that nothing was done. */
  readonly already: boolean;
  /** What is to be said of it when it is ready; null if nobody waited for that. */
  readonly ready: Ready | null;
}

/** An env that was started, and its end if its output is the caller's. */
export interface StartedEnv {
  readonly started: EnvStarted;
  readonly ended: Promise<Ended | null>;
}

/** The outcome of a stop. */
export interface EnvStopped {
  readonly env: number;
  readonly name: string;
  readonly outcome: StopOutcome;
}

/**
 * Starts an env; mounts it first if it is not mounted. One that runs already is left alone.
 * @throws ByrefError as mountAndSetUp(), 'unsupported' where the machine lacks something, 'error' if its program can't start
 */
export async function startEnv(
  store: Store,
  row: EnvRow,
  options: StartOptions,
  { patience, note }: StartHooks,
): Promise<StartedEnv> {
  const { root } = store;
  const lock = await lockLifeCycle(root, row, patience);
  const noMoreMoves = keepReadyForMoves();
  try {
    const former = new BundleDir(root, row.id);
    const first = former.firstProcess();
    if (first !== null) {
      refuseFrozen(root, row);
      return alreadyRuns(row, first);
    }
    // One that has ended, and was not stopped, is still mounted for its start.
    const wasMounted = former.note()?.mounted ?? false;
    const state = await envState(store, row);
    const { mount } = state;
    const isMounted = state.state === 'mounted' && mount !== null;
    const settings = store.settings(row.id);
    const from = options.from === undefined ? null : goOnFrom(store, row, options.from, isMounted);
    // Without the work of a first mount, which may have been cut short, too.
    const mounted = isMounted ? mount : await mountEnv(store, state, STANDARD_MOUNT);
    if ('damage' in mounted) tellLosses(store, row, mounted, note);
    const isWritable = !isMounted || !isReadOnly(mount.options);
    const left = isWritable ? setUpLeft(store, row, mounted, settings, note) : null;
    if (left === null) await setUp(store, row, mounted, note);
    const { mountpoint } = mounted;
    try {
      const { pid, ended } = await startProcesses({
        root,
        env: row,
        mountpoint,
        settings: withOptions(settings, options),
        files: isWritable ? settings.managedFiles : [],
        note,
        output: options.output ?? 'log',
        mounted: !isMounted || wasMounted,
        setUp: left,
        from,
      });
      return { started: { env: row.id, name: row.name, pid, already: false, ready: null }, ended };
    } catch (error) {
      if (!isMounted) await umountEnv(store, await envState(store, row), STANDARD_UMOUNT);
      // None of its processes has run.
      if (from !== null) markAsleep(root, row.id, from.id);
      throw error;
    }
  } finally {
    noMoreMoves();
    lock.release();
  }
}

/** Returns what an env goes on from. @throws ByrefError 'busy' if its files are not those that its processes had; 'notFound', 'badInput' */
function goOnFrom(
  store: Store,
  row: EnvRow,
  directory: string,
  isMounted: boolean,
): Asleep & { readonly id: string } {
  const record = readRecord(directory);
  const { id, network } = record;
  const hint = `Start it without its processes: byref start ${row.name}`;
  const other = (why: string): ByrefError =>
    new ByrefError('busy', `${row.name} can't go on from ${directory}: ${why}`, hint);
  const asleep = asleepFrom(store.root, row.id);
  if (asleep !== null && asleep !== id)
    throw other('it went to sleep again since, into another one');
  if (asleep === null || isMounted)
    throw other(
      'it was mounted or started since, and its files may not be those that its processes had',
    );
  if ((networkOf(store.settings(row.id)) === 'bridge') !== (network !== null))
    throw other('it has another network now');
  const versions = stackIdentities(store, row);
  if (versions.join() !== record.stack.join())
    throw other('a template of it was patched or rolled back since; go back to that version');
  return { directory, network, id };
}

const alreadyRuns = ({ id, name }: EnvRow, pid: number): StartedEnv => ({
  started: { env: id, name, pid, already: true, ready: null },
  ended: Promise.resolve(null),
});

const withOptions = (settings: EnvSettings, { init, environment }: StartOptions): EnvSettings => ({
  ...settings,
  ...(init !== undefined && { init, services: {} }),
  environment: { ...settings.environment, ...environment },
});

/** Returns the versions of templates that an env's files come from, by identity, bottom first. */
export const stackIdentities = (store: Store, row: EnvRow): string[] =>
  store.plainStack(row).map((ref) => store.identity(ref));

/** Returns the envs that are to be started when the machine boots: those of one priority together, the highest first. */
export function autostartEnvs(store: Store): EnvRow[][] {
  const groups = new Map<number, EnvRow[]>();
  for (const row of peoplesEnvs(store)) {
    const { autostart, autostartPriority } = store.settings(row.id);
    if (!autostart) continue;
    groups.set(autostartPriority, [...(groups.get(autostartPriority) ?? []), row]);
  }
  return [...groups].sort(([a], [b]) => b - a).map(([, rows]) => rows);
}

/** Stops an env, and unmounts it if it was mounted for its start. */
export async function stopEnv(
  store: Store,
  row: EnvRow,
  options: StopOptions,
  patience: Patience,
): Promise<EnvStopped> {
  const lock = await lockLifeCycle(store.root, row, patience);
  try {
    const note = new BundleDir(store.root, row.id).note();
    const outcome = await stopProcesses(store.root, row.id, options);
    failpoint('stop-before-umount');
    if (note?.mounted === true) await umountEnv(store, await envState(store, row), STANDARD_UMOUNT);
    else if (outcome !== 'not-running') await leaveMounted(store, row);
    return { env: row.id, name: row.name, outcome };
  } finally {
    lock.release();
  }
}

async function leaveMounted(store: Store, row: EnvRow): Promise<void> {
  const { mount, served } = await envState(store, row);
  // A driver that does not answer would not let us read.
  if (mount !== null && served !== null) keepMachineFiles(store, row, mount, () => undefined);
}

/** @throws ByrefError 'busy' if the env is frozen: what it is asked to do would wait until it is thawed */
export function refuseFrozen(root: string, { id, name }: EnvRow): void {
  if (!isFrozen(root, id)) return;
  throw new ByrefError('busy', `${name} is frozen`, `Thaw it first: byref thaw ${name}`);
}

/** Returns the pid of the first process of an env. @throws ByrefError 'usage' if it does not run */
export function needRunning(root: string, { id, name }: EnvRow): number {
  const first = new BundleDir(root, id).firstProcess();
  if (first !== null) return first;
  throw new ByrefError('usage', `${name} is not running`, `Start it first: byref start ${name}`);
}
