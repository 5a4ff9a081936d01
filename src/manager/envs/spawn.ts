import { spawn } from 'node:child_process';
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ByrefError } from '../../base/error.ts';
import { processLimit } from '../../base/process-limit.ts';
import { VERSION } from '../../base/version.ts';
import { ControlClient } from '../../ipc/client.ts';
import { driverWords } from '../../ipc/driver-words.ts';
import type { DriverVerbs, HolderVerbs, Verbs } from '../../ipc/protocol.ts';
import { type ProcessFiles, RunDir } from '../../ipc/run-dir.ts';
import { builtFile } from '../../native/binding.ts';

/** How long a process may take from its start to its first answer. */
const START_TIMEOUT_MS = 20_000;
const POLL_MS = 10;
/** How long a process may take that was refused a thread: Node may wait for it without a word. */
const REFUSED_MS = 2000;
/**
 * The number of threads in a driver's pool. Long copies and fsyncs of one env could take all of libuv's default of 4. How
 * the threads are shared: src/driver/process/pool-shares.ts.
 */
const THREADS = '16';

/** The name of the program in native/holder.cc, and of its process. */
const HOLDER = 'byref-holder';

/** A program to start, with the arguments that spawn() takes. */
interface Program {
  readonly file: string;
  readonly args: readonly string[];
  readonly argv0?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Returns a connection to the driver of a shard; starts it if none runs. */
function ensureDriver(root: string, shard: number): Promise<ControlClient<DriverVerbs>> {
  const run = new RunDir(root);
  const [file = '', ...args] = driverWords(root, shard);
  const program = { file, args };
  return ensure(run, run.driver(shard), program, `driver of shard ${shard}`);
}

/** Returns a connection to the root's holder; starts it if none runs. */
export function ensureHolder(root: string): Promise<ControlClient<HolderVerbs>> {
  const run = new RunDir(root);
  const files = run.holder();
  const { socket: BYREF_SOCKET, lock: BYREF_LOCK } = files;
  const program = {
    file: builtFile(HOLDER),
    argv0: HOLDER,
    args: [root],
    env: { ...process.env, BYREF_SOCKET, BYREF_LOCK, BYREF_VERSION: VERSION },
  };
  return ensure(run, files, program, 'holder');
}

/** Connections to running processes. While they are open, these processes don't end. */
export interface Servers {
  /** In the order of the shards. */
  readonly drivers: readonly ControlClient<DriverVerbs>[];
  close(): void;
}

/**
 * Connects to the drivers of shards, and to the holder, without which they mount nothing. Starts all that don't run at the
 * same time: one after the other, each would take as long as Node takes to start.
 */
export async function ensureServers(root: string, shards: readonly number[]): Promise<Servers> {
  const holder = ensureHolder(root);
  const drivers = shards.map((shard) => ensureDriver(root, shard));
  const close = (): void => {
    for (const server of [holder, ...drivers])
      server.then(
        (client) => client.close(),
        () => undefined,
      );
  };
  try {
    await Promise.all([holder, ...drivers]);
    return { drivers: await Promise.all(drivers), close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Connects to the driver of a shard; null if none runs. Waits for one that is about to take over from one that was killed. */
export async function findDriver(
  root: string,
  shard: number,
): Promise<ControlClient<DriverVerbs> | null> {
  const { socket } = new RunDir(root).driver(shard);
  const connect = (): Promise<ControlClient<DriverVerbs> | null> =>
    ControlClient.connect<DriverVerbs>(socket, `driver of shard ${shard}`);
  const deadline = Date.now() + START_TIMEOUT_MS;
  let driver = await connect();
  while (driver === null && Date.now() < deadline && (await isDriven(root, shard))) {
    await sleep(POLL_MS);
    driver = await connect();
  }
  return driver;
}

async function isDriven(root: string, shard: number): Promise<boolean> {
  const holder = await findHolder(root);
  if (holder === null) return false;
  try {
    return (await holder.call('status', null)).driven.includes(shard);
  } catch {
    return false;
  } finally {
    holder.close();
  }
}

/** Connects to the holder; null if none runs. */
export function findHolder(root: string): Promise<ControlClient<HolderVerbs> | null> {
  return ControlClient.connect<HolderVerbs>(new RunDir(root).holder().socket, 'holder');
}

/**
 * Connects to a process, and starts it if none runs. Two commands may start the same process at once: the process lock lets
 * one live, and both connect to it. If a process just ends because it is idle, the caller's first call fails with PeerGone.
 */
async function ensure<V extends Verbs>(
  run: RunDir,
  files: ProcessFiles,
  program: Program,
  peer: string,
): Promise<ControlClient<V>> {
  const running = await ControlClient.connect<V>(files.socket, peer);
  if (running) return running;
  run.create();
  const refusedBefore = processLimit()?.refused ?? 0;
  const isRefused = (): boolean => (processLimit()?.refused ?? 0) > refusedBefore;
  let child = start(files, program);
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    await sleep(POLL_MS);
    const client = await ControlClient.connect<V>(files.socket, peer);
    if (client) return client;
    const leftMs = deadline - Date.now();
    const isLate = leftMs < 0 || (leftMs < START_TIMEOUT_MS - REFUSED_MS && isRefused());
    const why = child.failure() ?? (isLate ? 'it did not answer' : null);
    if (why === null) {
      if (child.hasLeft()) child = start(files, program);
      continue;
    }
    child.end();
    throw startError(files, peer, why, child.logged(), isRefused() || why.includes('EAGAIN'));
  }
}

/** A process that was started, and has not answered yet. */
interface Starting {
  /** Says how it ended, or why it could not be started; null while it may still answer. */
  failure(): string | null;
  /** True if it ended without an error: another such process runs, and will answer soon, or it was idle before we came. */
  hasLeft(): boolean;
  /** Returns the last lines that it wrote to its log. */
  logged(): readonly string[];
  /** Ends it, with all that it started. */
  end(): void;
}

/** Starts a program detached, in its own session, with nothing of ours but the log, so that it outlives this command. */
function start(files: ProcessFiles, { file, args, argv0, env }: Program): Starting {
  const log = openLogFile(files.log);
  const { size } = fstatSync(log);
  const child = spawn(file, args, {
    argv0,
    detached: true,
    stdio: ['ignore', log, log],
    cwd: '/',
    env: { ...(env ?? process.env), UV_THREADPOOL_SIZE: THREADS },
  });
  closeSync(log);
  child.unref();
  let failed: NodeJS.ErrnoException | null = null;
  child.once('error', (error) => {
    failed = error;
  });
  return {
    failure() {
      if (failed !== null) return reasonOf(failed);
      if (child.signalCode !== null) return `it was ended by ${child.signalCode}`;
      return child.exitCode === null || child.exitCode === 0
        ? null
        : `exit status ${child.exitCode}`;
    },
    hasLeft: () => child.exitCode === 0,
    logged: () => readFileSync(files.log).subarray(size).toString().trimEnd().split('\n').slice(-3),
    end() {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      // It has nothing yet that it would have to put in order.
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It ended just now.
      }
    },
  };
}

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;

/** @throws ByrefError 'unsupported', as for a symlink, through which nothing is written */
function openLogFile(file: string): number {
  try {
    return openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  } catch (cause) {
    const message = `the log can't be opened: ${(cause as Error).message}`;
    throw new ByrefError('unsupported', message, `Remove what is at ${file}.`, { cause });
  }
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  return `it could not be started: ${code === 'EAGAIN' ? code : message}`;
}

function startError(
  files: ProcessFiles,
  peer: string,
  why: string,
  logged: readonly string[],
  isRefused: boolean,
): ByrefError {
  const said = logged.filter((line) => line !== '').map((line) => `    ${line}`);
  const lines = [
    `the ${peer} did not start: ${why}${said.length > 0 ? '; its log ends with:' : ''}`,
    ...said,
  ];
  if (!isRefused) return new ByrefError('error', lines, `See ${files.log}.`);
  const limit = processLimit();
  const group = limit === null ? '' : `: the control group may have ${limit.max}`;
  lines.push(`    it was refused a process or thread${group}`);
  return new ByrefError('error', lines, 'Allow more: pids.max of the control group, or ulimit -u.');
}
