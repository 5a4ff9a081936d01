/** Runs the monitor of an env: native/monitor.c. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import { Duplex } from 'node:stream';
import { ByrefError } from '../../../base/error.ts';
import { failpoint } from '../../../base/failpoints.ts';
import { monitorProgram } from '../../../native/binding.ts';
import { envDir } from '../../../store/store.ts';
import { restoreComplaint, runtimeEnvironment } from '../checkpoint/dump.ts';
import type { BundleDir, Ended } from './bundle-dir.ts';
import type { IdRange } from './id-ranges.ts';
import { MonitorReport } from './monitor-report.ts';
import type { MountedPlace } from './places.ts';
import { runtimeProgram } from './runtime-program.ts';

const LOG_FILE = 'console.log';

/** Returns the file in which the output of an env's first process is kept; a former part ends with .1. */
export const consoleLog = (root: string, env: number): string =>
  path.join(envDir(root, env), LOG_FILE);

/** What becomes of the output of an env's first process. log: it is kept. inherit: it is this process's own; or another one's. */
export type Output = 'log' | 'inherit' | Foreground;

/** Another process, on whose input and output an env runs. */
export interface Foreground {
  readonly pid: number;
  /** Lets that process run a program on its input and output. Resolves when the program has ended. @throws if the process has gone */
  run(words: readonly string[]): Promise<unknown>;
}

/** An env that was started. */
export interface Started {
  readonly pid: number;
  /** With the output `inherit`: resolves when the env has ended, and nothing of it is left but its bundle. */
  readonly ended: Promise<Ended | null>;
}

/** How the monitor is run. */
export interface Launch {
  readonly root: string;
  readonly env: { readonly id: number; readonly name: string };
  /** Where the env is mounted. */
  readonly mountpoint: string;
  readonly output: Output | 'terminal';
  readonly ids: IdRange | null;
  /** What it has beside its root, and where in the bundle each is to be mounted. */
  readonly places: readonly MountedPlace[];
  /** What has to be done before its program begins, and may be done while the runtime is at work; null if nothing has. */
  readonly meanwhile: (() => Promise<void>) | null;
  /** Connects the env before it starts; null if it is not to be. */
  readonly connect: (() => Promise<void>) | null;
  /** The images of which its processes are made; null: it begins. */
  readonly images: string | null;
}

/** Runs the monitor, and waits until it says that the env runs. @throws ByrefError 'error' with what the runtime says, and as `meanwhile` and `connect` */
export async function launch(
  bundle: BundleDir,
  { root, env, mountpoint, output, ids, meanwhile, connect, places, images }: Launch,
): Promise<Started> {
  const words = [
    runtimeProgram(),
    bundle.runtimeState,
    bundle.path,
    bundle.name,
    consoleLog(root, env.id),
    mountpoint,
    String(ids?.first ?? 0),
    String(ids?.size ?? 0),
    waitsFor(meanwhile, connect),
    images ?? '',
    ...places.flatMap(({ source, place, ids: shown }) => [source, place, shown]),
  ];
  const { report, gone, leave } =
    typeof output === 'string'
      ? startMonitor(output, words, images === null ? process.env : runtimeEnvironment(bundle))
      : await monitorOf(output, path.join(bundle.path, 'report.sock'), words);
  const work = meanwhile?.();
  // It is waited for below, whether the runtime fails or not.
  work?.catch(() => undefined);
  const begin = async (): Promise<void> => {
    try {
      await work;
      await connect?.();
    } catch (error) {
      report.end();
      await gone;
      throw error;
    }
    failpoint('start-connected');
    report.goOn();
  };
  // Without a network of its own it begins when the runtime has made it: the monitor need not ask.
  if (connect === null && work !== undefined) await begin();
  let said = await report.line();
  if (!said.startsWith('created ')) await work?.catch(() => undefined);
  else {
    if (connect !== null) await begin();
    said = await report.line();
  }
  report.end();
  const [, pid] = /^started (\d+)$/.exec(said) ?? [];
  if (pid === undefined) throw notStarted(env.name, bundle, said, images !== null);
  leave();
  failpoint('start-running');
  const ended = gone.then(() => bundle.ended());
  // Who does not wait for the end does not mind.
  ended.catch(() => undefined);
  return { pid: Number(pid), ended };
}

/** Returns what the monitor does when the runtime has made the env: nothing, or wait, or show the env's network and wait. */
function waitsFor(meanwhile: unknown, connect: unknown): string {
  if (connect !== null) return 'connect';
  return meanwhile === null ? 'no' : 'wait';
}

/** A monitor that was started. */
interface Monitor {
  readonly report: MonitorReport;
  /** Resolves when it has ended. */
  readonly gone: Promise<unknown>;
  /** Lets this process end before a monitor whose output is not its own. Before that, a start that fails waits for the monitor. */
  readonly leave: () => void;
}

function startMonitor(
  mode: 'log' | 'inherit' | 'terminal',
  words: readonly string[],
  environment: NodeJS.ProcessEnv,
): Monitor {
  const own = mode === 'inherit' ? 'inherit' : 'ignore';
  const child = spawn(monitorProgram(), [mode, ...words], {
    detached: true,
    cwd: '/',
    env: environment,
    stdio: [own, own, own, 'pipe'],
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const report = new MonitorReport(child.stdio[3] as Duplex);
  child.once('error', () => report.end());
  const leave = (): void => {
    if (mode !== 'inherit') child.unref();
  };
  return { report, gone, leave };
}

/** Lets another process start the monitor, on its input and output. @param socket where the monitor says what happens */
async function monitorOf(
  foreground: Foreground,
  socket: string,
  words: readonly string[],
): Promise<Monitor> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  try {
    const connected = once(server, 'connection') as Promise<[Duplex]>;
    const gone = foreground.run([monitorProgram(), `inherit:${socket}`, ...words]);
    const early = gone.then(() => null);
    const peer = await Promise.race([connected, early]);
    const report = new MonitorReport(peer?.[0] ?? Duplex.from([]));
    return { report, gone, leave: () => undefined };
  } finally {
    // The connection stays.
    server.close();
  }
}

function notStarted(
  name: string,
  bundle: BundleDir,
  said: string,
  isRestored: boolean,
): ByrefError {
  const criu = isRestored ? restoreComplaint(bundle) : '';
  if (criu !== '') {
    const message = `the processes of ${name} could not go on: ${criu}`;
    return new ByrefError('error', message, `Start it without them: byref start ${name}`);
  }
  const why = bundle.complaint() || said.replace(/^failed /, '') || 'its monitor ended';
  const isMissing = /executable file not found|no such file or directory/.test(why);
  const hint = isMissing
    ? 'Name a program that the env has: byref set ENV init="PROGRAM ARGUMENT...".'
    : 'See byref doctor for what envs need to run.';
  return new ByrefError('error', `${name} was not started: ${why}`, hint);
}
