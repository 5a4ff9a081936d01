import { spawn } from 'node:child_process';
import { confineProgram } from '../../native/binding.ts';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** How many characters of output are kept by default: the last ones, which say what went wrong. */
const OUTPUT_KEPT = 4096;
const LAST_OUTPUT_MS = 200;

/** How a program in an env ended. */
export interface InsideResult {
  /** Its exit status; null: it was killed, or could not be started. */
  readonly code: number | null;
  /** The last of what it printed on both streams. */
  readonly output: string;
}

/** Limits of one run. */
export interface InsideLimits {
  /** How many characters of output are kept, counted from its end. */
  readonly outputKept?: number;
  /** The time in milliseconds after which it is killed; no limit if not given. */
  readonly timeoutMs?: number;
}

/**
 * Runs a program of an env in the env, confined as health commands are: native/confine.c says how. All that it starts ends
 * with it.
 */
export function runInside(
  mountpoint: string,
  words: readonly string[],
  { outputKept = OUTPUT_KEPT, timeoutMs }: InsideLimits = {},
): Promise<InsideResult> {
  return new Promise((resolve) => {
    const child = spawn(confineProgram(), [mountpoint, ...words], {
      cwd: '/',
      env: { PATH, HOME: '/root', LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'pipe', 'inherit'],
      killSignal: 'SIGKILL',
      ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-outputKept);
    });
    const settle = (code: number | null): void => resolve({ code, output: output.trimEnd() });
    child.once('error', (cause) => {
      output += cause.message;
      settle(null);
    });
    child.once('close', (code) => settle(code));
    // All that it left running has ended; its pipe may still be open in a process that is not its own.
    child.once('exit', (code) => setTimeout(() => settle(code), LAST_OUTPUT_MS).unref());
  });
}
