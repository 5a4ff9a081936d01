/**
 * The life of an env's processes, and its end; its beginning is in start-processes.ts.
 *
 *     stopped ──start──> starting ──> running ──stop, or its first process ends──> ended ──> stopped
 *
 * Nothing of this is kept in a process: a bundle directory says what was begun (bundle-dir.ts), and the kernel what lives. So a
 * command that is killed at any point leaves a bundle whose first process lives, which is running, or one whose does not: the
 * next start, stop or destroy clears that away.
 */
import { constants } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ByrefError } from '../../../base/error.ts';
import { failpoint } from '../../../base/failpoints.ts';
import { MNT_DETACH, UMOUNT_NOFOLLOW } from '../../../base/mount-flags.ts';
import { VOLUMES_DIR } from '../../../driver/delta/layout.ts';
import { native } from '../../../native/binding.ts';
import { type FileLock, LockFile } from '../../../native/lock-file.ts';
import { type Patience, waitUntil } from '../../../store/patience.ts';
import { envDir } from '../../../store/store.ts';
import { clearCriuLeft } from '../checkpoint/left.ts';
import { detachNetwork } from '../network/attach-network.ts';
import { imagesInUse } from '../volume-image.ts';
import { BundleDir, makeBundlesDir } from './bundle-dir.ts';
import { groupOf, removeGroups } from './cgroups.ts';
import { thaw, thawLeft } from './freezer.ts';
import { idRangesOf } from './id-ranges.ts';
import { deleteEnv } from './runtime-program.ts';

/** How long processes that were killed may take to end, and a monitor to clear away what the runtime made. */
const CLEAR_MS = 10_000;
const POLL_MS = 10;
/** How systemd is asked to shut down (systemd(1), signals): SIGRTMIN+3. */
const SIGRTMIN_3 = 37;

/**
 * Takes the lock under which an env is started, stopped, cloned and destroyed.
 * @throws ByrefError 'locked' if another command has it for longer than the caller wants to wait
 */
export async function lockLifeCycle(
  root: string,
  env: { readonly id: number; readonly name: string },
  patience: Patience,
): Promise<FileLock> {
  makeBundlesDir(root);
  const lock = new LockFile(new BundleDir(root, env.id).lock);
  const whom = (): string => `another command, which starts, stops or clones ${env.name}`;
  if (await waitUntil(() => lock.try('exclusive'), whom, patience)) {
    await thawLeft(root, env.id);
    return lock;
  }
  lock.release();
  const message = `another command is starting, stopping or cloning ${env.name}`;
  throw new ByrefError('locked', message, 'Try again, or wait longer with --wait 5m.');
}

/** How an env is stopped. */
export interface StopOptions {
  /** How long its first process may take, in milliseconds, before all are killed; 0: they are killed at once. */
  readonly timeoutMs: number;
}

/** How an env came to its end. ended: by itself, when it was asked to. killed: it did not, in time. */
export type StopOutcome = 'ended' | 'killed' | 'not-running';

/** Ends all processes of an env, and clears away what was made for them. The caller has its lock. */
export async function stopProcesses(
  root: string,
  env: number,
  { timeoutMs }: StopOptions,
): Promise<StopOutcome> {
  const bundle = new BundleDir(root, env);
  if (!bundle.exists) return 'not-running';
  const first = bundle.firstProcess();
  let outcome: StopOutcome = first === null ? 'not-running' : 'killed';
  if (first !== null && timeoutMs > 0) {
    send(first, bundle.note()?.isSystemd ? SIGRTMIN_3 : 'SIGTERM');
    // One that is frozen hears of it only then.
    thaw(root, env);
    if (await until(() => bundle.firstProcess() === null, timeoutMs)) outcome = 'ended';
  }
  failpoint('stop-asked');
  await clearAway(root, env, first !== null);
  return outcome;
}

/** Sends a signal to the first process of an env. @returns false if it does not run */
export function signalFirst(root: string, env: number, signal: NodeJS.Signals | number): boolean {
  const first = new BundleDir(root, env).firstProcess();
  if (first === null) return false;
  send(first, signal);
  // What is frozen does not die on v1, and other signals can wait.
  if (signal === 'SIGKILL' || signal === constants.signals.SIGKILL) thaw(root, env);
  return true;
}

/**
 * Ends what is left of an env that was started: processes, groups, mounts, its bundle. The caller has its lock.
 * @param asked true: its first process was asked to end just now
 */
export async function clearAway(root: string, env: number, asked = false): Promise<void> {
  const bundle = new BundleDir(root, env);
  if (!bundle.exists) return;
  const first = bundle.firstProcess();
  bundle.keepEnd(first === null && !asked);
  if (first !== null) {
    // With the first process of a PID namespace, the kernel kills all.
    send(first, 'SIGKILL');
    thaw(root, env);
    await until(() => bundle.firstProcess() === null, CLEAR_MS);
  }
  clearCriuLeft(bundle);
  await until(() => !bundle.isMonitored, CLEAR_MS);
  failpoint('stop-ended');
  await deleteEnv(bundle);
  failpoint('stop-deleted');
  await detachNetwork(bundle);
  failpoint('stop-unnamed');
  for (const place of bundle.mountPoints()) native.umount(place, MNT_DETACH | UMOUNT_NOFOLLOW);
  await untilDisksAreFree(root, env);
  removeGroups(groupOf(root, env));
  failpoint('stop-unmounted');
  const id = bundle.firstId();
  bundle.remove();
  failpoint('stop-removed');
  const ranges = idRangesOf(root);
  await (id === null ? ranges.tidy() : ranges.giveBack(bundle.path, id));
}

/** Waits until the kernel has written what the volumes with a size hold, so that they can be copied. */
export async function untilDisksAreFree(root: string, env: number): Promise<void> {
  const directory = path.join(envDir(root, env), VOLUMES_DIR);
  await until(() => !imagesInUse(directory), CLEAR_MS);
}

/** Waits until something is true. @returns false if it is not in time */
async function until(isTrue: () => boolean, timeoutMs: number): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  while (!isTrue()) {
    if (performance.now() > end) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/** Sends a signal to a process, if it is still there. */
export function send(pid: number, signal: NodeJS.Signals | number): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended just now.
  }
}
