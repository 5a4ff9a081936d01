/** Health commands: run in envs, or about envs, that have a new version. They decide whether the others get it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { confineProgram } from '../../native/binding.ts';

/** A health command, and how patient its checks are. */
export interface HealthCheck {
  /** A command line for sh -c. */
  readonly command: string;
  /**
   * env: runs in the env's root, confined as native/confine.c says. host: runs on the host, with BYREF_ENV (the env's name),
   * BYREF_ENV_ID and BYREF_MOUNT (where it is mounted; empty if it is not).
   */
  readonly on: 'env' | 'host';
  /** The longest time for one try, in milliseconds. */
  readonly timeoutMs: number;
  /** How many tries may follow a first one that failed. */
  readonly retries: number;
  /** The pause between two tries, in milliseconds. */
  readonly intervalMs: number;
}

/** An env to be checked; its mountpoint is null while it is not mounted. */
export interface HealthSubject {
  readonly id: number;
  readonly name: string;
  readonly mountpoint: string | null;
}

/** The outcome of the check of one env. */
export interface HealthResult {
  readonly env: string;
  readonly ok: boolean;
  readonly tries: number;
  /** How the last try ended: "exit status 1", "no end after 30 s", "signal SIGSEGV", "it could not be started: ...". */
  readonly how: string;
  /** The end of what the last try printed on both streams. */
  readonly output: string;
}

const OUTPUT_KEPT = 4096;
/** How long a command's pipe is read after its end, if processes that it left running still hold it. */
const LAST_OUTPUT_MS = 200;
const AT_ONCE = 8;
const INSIDE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Checks the envs, a few at a time. Starts no further checks once one env is unhealthy. */
export async function checkHealth(
  check: HealthCheck,
  envs: readonly HealthSubject[],
): Promise<HealthResult[]> {
  const left = [...envs];
  const results: HealthResult[] = [];
  const work = async (): Promise<void> => {
    for (let env = left.shift(); env !== undefined; env = left.shift()) {
      const result = await checkOne(check, env);
      results.push(result);
      if (!result.ok) left.length = 0;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return results;
}

async function checkOne(check: HealthCheck, env: HealthSubject): Promise<HealthResult> {
  for (let tries = 1; ; tries++) {
    const attempt = await runOnce(check, env);
    if (attempt.ok || tries > check.retries) return { env: env.name, tries, ...attempt };
    await sleep(check.intervalMs);
  }
}

type Attempt = Pick<HealthResult, 'ok' | 'how' | 'output'>;

function runOnce({ command, on, timeoutMs }: HealthCheck, env: HealthSubject): Promise<Attempt> {
  const inside = on === 'env';
  if (inside && env.mountpoint === null) {
    return Promise.resolve({ ok: false, how: 'it is not mounted', output: '' });
  }
  const shell = ['/bin/sh', '-c', command];
  const words = inside
    ? [confineProgram(), env.mountpoint!, ...shell]
    : ['/bin/sh', '-c', 'exec 2>&1 "$@"', 'sh', ...shell];
  const own = { BYREF_ENV: env.name, BYREF_ENV_ID: String(env.id) };
  const variables = inside
    ? { PATH: INSIDE_PATH, HOME: '/root', LC_ALL: 'C', ...own }
    : { ...process.env, ...own, BYREF_MOUNT: env.mountpoint ?? '' };
  return new Promise((resolve) => {
    // A session of its own, so that everything it started can be ended with it. One pipe, which keeps both streams in order.
    const child = spawn(words[0]!, words.slice(1), {
      cwd: '/',
      env: variables,
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    let late = false;
    const take = (text: string): void => {
      output = (output + text).slice(-OUTPUT_KEPT);
    };
    child.stdout.setEncoding('utf8').on('data', take);
    const timer = setTimeout(() => {
      late = true;
      endGroup(child.pid);
    }, timeoutMs);
    const settle = (ok: boolean, how: string): void => {
      clearTimeout(timer);
      // Processes that it left in the background hold its output open.
      child.stdout.destroy();
      resolve({ ok, how, output: output.trimEnd() });
    };
    child.once('error', (error) => settle(false, `it could not be started: ${error.message}`));
    child.once('exit', (code, signal) => {
      // The pipe may still hold the last output.
      void Promise.race([once(child, 'close'), sleep(LAST_OUTPUT_MS)]).then(() => {
        if (late) settle(false, `no end after ${timeoutMs / 1000} s`);
        else if (signal !== null) settle(false, `signal ${signal}`);
        else settle(code === 0, `exit status ${code}`);
      });
    });
  });
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended just now.
  }
}
