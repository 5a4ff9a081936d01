/**
 * Starts and ends the processes of an env that is mounted.
 *
 *     stopped ──start──> starting ──> running ──stop, or its first process ends──> ended ──> stopped
 *
 * Nothing of this is kept in a process: a bundle directory says what was begun (bundle-dir.ts), and the kernel what lives. So a
 * command that is killed at any point leaves a bundle whose first process lives, which is running, or one whose does not: the
 * next start, stop or destroy clears that away.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ByrefError } from '../../../base/error.ts';
import { failpoint } from '../../../base/failpoints.ts';
import { MNT_DETACH, UMOUNT_NOFOLLOW } from '../../../base/mount-flags.ts';
import { procText } from '../../../base/proc.ts';
import type { EnvSettings, NetworkKind, Volume } from '../../../codec/env-settings.ts';
import { RunDir } from '../../../ipc/run-dir.ts';
import { monitorProgram, native } from '../../../native/binding.ts';
import { type FileLock, LockFile } from '../../../native/lock-file.ts';
import { type Patience, waitUntil } from '../../../store/patience.ts';
import { envDir } from '../../../store/store.ts';
import { attachNetwork, detachNetwork } from '../network/attach-network.ts';
import { volumeDir } from '../volumes.ts';
import { BundleDir, type Ended, makeBundlesDir, refuseClosed } from './bundle-dir.ts';
import { groupOf, makeNamedGroup, removeGroups } from './cgroups.ts';
import { type IdRange, IdRanges } from './id-ranges.ts';
import { initProgram } from './init.ts';
import { MonitorReport } from './monitor-report.ts';
import { capabilitiesIn, capabilitiesOf, ociConfig } from './oci-config.ts';
import { deleteEnv, runtimeProgram } from './runtime-program.ts';
import { SECCOMP_FILE, seccompOf } from './seccomp.ts';

/** What becomes of the output of an env's first process. log: it is kept. inherit: it is the caller's own. */
export type Output = 'log' | 'inherit';

/** An env that is to be started; it is mounted. */
export interface StartRequest {
  readonly root: string;
  readonly env: { readonly id: number; readonly name: string };
  readonly mountpoint: string;
  readonly hostname: string;
  readonly settings: EnvSettings;
  readonly output: Output;
  /** True: it was mounted for this, and is to be unmounted when it is stopped. */
  readonly mounted: boolean;
}

/** An env that was started. */
export interface Started {
  readonly pid: number;
  /** With the output `inherit`: resolves when the env has ended, and nothing of it is left but its bundle. */
  readonly ended: Promise<Ended | null>;
}

/** How long processes that were killed may take to end, and a monitor to clear away what the runtime made. */
const CLEAR_MS = 10_000;
const POLL_MS = 10;
/** How systemd is asked to shut down (systemd(1), signals): SIGRTMIN+3. */
const SIGRTMIN_3 = 37;
const LOG_FILE = 'console.log';

/** Returns the file in which the output of an env's first process is kept; a former part ends with .1. */
export const consoleLog = (root: string, env: number): string =>
  path.join(envDir(root, env), LOG_FILE);

/**
 * Takes the lock under which an env is started, stopped and destroyed.
 * @throws ByrefError 'locked' if another command has it for longer than the caller wants to wait
 */
export async function lockLifeCycle(
  root: string,
  env: { readonly id: number; readonly name: string },
  patience: Patience,
): Promise<FileLock> {
  makeBundlesDir(root);
  const lock = new LockFile(new BundleDir(root, env.id).lock);
  const whom = (): string => `another command, which starts or stops ${env.name}`;
  if (await waitUntil(() => lock.try('exclusive'), whom, patience)) return lock;
  lock.release();
  const message = `another command is starting or stopping ${env.name}`;
  throw new ByrefError('locked', message, 'Try again, or wait longer with --wait 5m.');
}

/** Starts an env. The caller has its lock. @throws ByrefError 'unsupported', 'error' with what the runtime says */
export async function startProcesses(request: StartRequest): Promise<Started> {
  const { root, env, mountpoint, settings, output } = request;
  const { privileged } = settings;
  if (!privileged) refuseClosed(root);
  const bundle = new BundleDir(root, env.id);
  await clearAway(root, env.id);
  const init = initProgram(mountpoint, settings.init);
  const network = settings.network ?? standardNetwork();
  const { isSystemd } = init;
  bundle.make({ mounted: request.mounted, isSystemd, startedMs: Date.now(), privileged });
  failpoint('start-noted');
  const ids = privileged ? null : await idRanges(root).take(bundle.path);
  if (ids !== null) bundle.openTo(ids.first);
  const cgroupsPath = groupOf(root, env.id);
  if (isSystemd) makeNamedGroup(cgroupsPath, ids);
  const volumes = bundle.makeVolumes(settings.volumes);
  const config = ociConfig({
    hostname: request.hostname,
    init,
    environment: settings.environment,
    terminal: isSystemd && output === 'log',
    ids,
    network,
    volumes: [...volumes].map(([volume, place]) => ({ place, path: volume.path })),
    cgroupsPath,
    limits: settings.limits,
    // A machine may be a container itself, and its root lack some.
    capabilities: privileged ? ownCapabilities() : capabilitiesOf(isSystemd),
    seccomp: privileged ? null : filterOf(isSystemd),
  });
  bundle.write('config.json', JSON.stringify(config));
  failpoint('start-prepared');
  try {
    const mode = config.process.terminal ? 'terminal' : output;
    const connect =
      network === 'bridge' ? () => attachNetwork(root, env.name, bundle, settings) : null;
    return await launch(bundle, request, { mode, ids, connect, volumes });
  } catch (error) {
    await clearAway(root, env.id);
    throw error;
  }
}

/** How the monitor is run. */
interface Launch {
  readonly mode: Output | 'terminal';
  readonly ids: IdRange | null;
  /** Where each volume is to be mounted. */
  readonly volumes: ReadonlyMap<Volume, string>;
  /** Connects the env before it starts; null if it is not to be. */
  readonly connect: (() => Promise<void>) | null;
}

/** Runs the monitor, and waits until it says that the env runs. */
async function launch(
  bundle: BundleDir,
  { root, env, mountpoint }: StartRequest,
  { mode, ids, connect, volumes }: Launch,
): Promise<Started> {
  const own = mode === 'inherit' ? 'inherit' : 'ignore';
  const words = [
    mode,
    runtimeProgram(),
    bundle.runtimeState,
    bundle.path,
    bundle.name,
    consoleLog(root, env.id),
    mountpoint,
    String(ids?.first ?? 0),
    String(ids?.size ?? 0),
    connect === null ? '0' : '1',
    ...[...volumes].flatMap(([volume, place]) => [volumeDir(root, env.id, volume), place]),
  ];
  const child = spawn(monitorProgram(), words, {
    detached: true,
    cwd: '/',
    stdio: [own, own, own, 'pipe'],
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const report = new MonitorReport(child.stdio[3] as Duplex);
  child.once('error', () => report.end());
  let said = await report.line();
  if (connect !== null && said.startsWith('created ')) {
    try {
      await connect();
    } catch (error) {
      report.end();
      await gone;
      throw error;
    }
    failpoint('start-connected');
    report.goOn();
    said = await report.line();
  }
  report.end();
  const [, pid] = /^started (\d+)$/.exec(said) ?? [];
  if (pid === undefined) throw notStarted(env.name, bundle, said);
  if (mode !== 'inherit') child.unref();
  failpoint('start-running');
  return { pid: Number(pid), ended: gone.then(() => bundle.ended()) };
}

function notStarted(name: string, bundle: BundleDir, said: string): ByrefError {
  const why = bundle.complaint() || said.replace(/^failed /, '') || 'its monitor ended';
  const isMissing = /executable file not found|no such file or directory/.test(why);
  const hint = isMissing
    ? 'Name a program that the env has: byref set ENV init="PROGRAM ARGUMENT...".'
    : 'See byref doctor for what envs need to run.';
  return new ByrefError('error', `${name} was not started: ${why}`, hint);
}

const ownCapabilities = (): string[] =>
  capabilitiesIn(/^CapBnd:\s*([0-9a-f]+)$/m.exec(procText('/proc/self/status'))?.[1] ?? '0');

/** Returns the filter of system calls for an env. @throws ByrefError 'unsupported' if it is not installed */
function filterOf(isSystemd: boolean) {
  const facts = {
    capabilities: capabilitiesOf(isSystemd),
    arch: process.arch === 'x64' ? 'amd64' : process.arch,
    kernel: procText('/proc/sys/kernel/osrelease'),
  };
  let profile: string;
  try {
    profile = readFileSync(SECCOMP_FILE, 'utf8');
  } catch (cause) {
    const message = `${SECCOMP_FILE} is missing, the filter of system calls for envs`;
    const hint = 'Install it: apt-get install golang-github-containers-common.';
    throw new ByrefError('unsupported', message, hint, { cause });
  }
  return seccompOf(profile, facts);
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
    if (await until(() => bundle.firstProcess() === null, timeoutMs)) outcome = 'ended';
  }
  failpoint('stop-asked');
  await clearAway(root, env);
  return outcome;
}

/** Sends a signal to the first process of an env. @returns false if it does not run */
export function signalFirst(root: string, env: number, signal: NodeJS.Signals | number): boolean {
  const first = new BundleDir(root, env).firstProcess();
  if (first === null) return false;
  send(first, signal);
  return true;
}

/** Ends what is left of an env that was started: processes, groups, mounts, its bundle. The caller has its lock. */
export async function clearAway(root: string, env: number): Promise<void> {
  const bundle = new BundleDir(root, env);
  if (!bundle.exists) return;
  const first = bundle.firstProcess();
  if (first !== null) {
    // With the first process of a PID namespace, the kernel kills all.
    send(first, 'SIGKILL');
    await until(() => bundle.firstProcess() === null, CLEAR_MS);
  }
  await until(() => !bundle.isMonitored, CLEAR_MS);
  failpoint('stop-ended');
  await deleteEnv(bundle);
  failpoint('stop-deleted');
  await detachNetwork(bundle);
  failpoint('stop-disconnected');
  for (const place of bundle.mountPoints()) native.umount(place, MNT_DETACH | UMOUNT_NOFOLLOW);
  removeGroups(groupOf(root, env));
  failpoint('stop-unmounted');
  bundle.remove();
  failpoint('stop-removed');
  await idRanges(root).tidy();
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

function send(pid: number, signal: NodeJS.Signals | number): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended just now.
  }
}

/** Returns the network of envs for which none is set. */
function standardNetwork(): NetworkKind {
  const wanted = process.env['BYREF_NETWORK'];
  return wanted === 'none' || wanted === 'host' ? wanted : 'bridge';
}

const idRanges = (root: string): IdRanges =>
  new IdRanges(path.join(path.dirname(new RunDir(root).path), 'ids'));
