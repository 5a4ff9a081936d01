/** Health commands: run in envs, or about envs, that have a new version. They decide whether the others get it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { runProgram } from '../../base/run-program.ts';
import { confineProgram } from '../../native/binding.ts';
import { INSIDE_PATH } from '../confinement/run-inside.ts';

/** A health command, and how patient its checks are. */
export interface HealthCheck {
  /** A command line for sh -c. */
  readonly command: string;
  /**
   * env: runs in the env's root, confined as native/confine.c says. host: runs on the host, with BYREF_ENV (the env's name),
   * BYREF_ENV_ID, BYREF_MOUNT (where it is mounted; empty if it is not) and BYREF_ADDRESS (on the bridge; empty if it has none).
   */
  readonly on: 'env' | 'host';
  /** The longest time for one try, in milliseconds. */
  readonly timeoutMs: number;
  /** How many tries may follow a first one that failed. */
  readonly retries: number;
  /** The pause between two tries, in milliseconds. */
  readonly intervalMs: number;
}

/** An env to be checked; its mountpoint is null while it is not mounted, its address while it has none on the bridge. */
export interface HealthSubject {
  readonly id: number;
  readonly name: string;
  readonly mountpoint: string | null;
  readonly address: string | null;
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

/**
 * Checks the envs, a few at a time. Starts no further checks once one env is unhealthy.
 * @param signal ends the checks that are under way, which count as failed, and their further tries
 */
export async function checkHealth(
  check: HealthCheck,
  envs: readonly HealthSubject[],
  signal: AbortSignal,
): Promise<HealthResult[]> {
  const left = [...envs];
  const results: HealthResult[] = [];
  const work = async (): Promise<void> => {
    for (let env = left.shift(); env !== undefined; env = left.shift()) {
      const result = await checkOne(check, env, signal);
      results.push(result);
      if (!result.ok) left.length = 0;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return results;
}

async function checkOne(
  check: HealthCheck,
  env: HealthSubject,
  signal: AbortSignal,
): Promise<HealthResult> {
  for (let tries = 1; ; tries++) {
    const attempt = await runOnce(check, env, signal);
    const isLast = tries > check.retries || signal.aborted;
    if (attempt.ok || isLast) return { env: env.name, tries, ...attempt };
    await sleep(check.intervalMs, undefined, { signal }).catch(() => undefined);
  }
}

type Attempt = Pick<HealthResult, 'ok' | 'how' | 'output'>;

async function runOnce(
  check: HealthCheck,
  env: HealthSubject,
  signal: AbortSignal,
): Promise<Attempt> {
  const { command, on, timeoutMs } = check;
  const inside = on === 'env';
  if (inside && env.mountpoint === null) return { ok: false, how: 'it is not mounted', output: '' };
  const shell = ['/bin/sh', '-c', command];
  // One pipe, which keeps both streams in order.
  const words = inside
    ? [confineProgram(), env.mountpoint!, ...shell]
    : ['/bin/sh', '-c', 'exec 2>&1 "$@"', 'sh', ...shell];
  const own = { BYREF_ENV: env.name, BYREF_ENV_ID: String(env.id) };
  const variables = inside
    ? { PATH: INSIDE_PATH, HOME: '/root', LC_ALL: 'C', ...own }
    : {
        ...process.env,
        ...own,
        BYREF_MOUNT: env.mountpoint ?? '',
        BYREF_ADDRESS: env.address ?? '',
      };
  const { code, how, stdout } = await runProgram(words, {
    env: variables,
    timeoutMs,
    signal,
    ownSession: true,
    outputMax: OUTPUT_KEPT,
    ofMore: 'end',
    // Processes that it left in the background hold its output open.
    lingerMs: LAST_OUTPUT_MS,
  });
  return { ok: code === 0, how, output: stdout.toString().trimEnd() };
}
