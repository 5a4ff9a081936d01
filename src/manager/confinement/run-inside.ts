import { runProgram } from '../../base/run-program.ts';
import { confineProgram } from '../../native/binding.ts';

/** The search path of programs that are run in an env. */
export const INSIDE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** How many bytes of output are kept by default: the last ones, which say what went wrong. */
const OUTPUT_KEPT = 4096;
/**
 * How long output is read after a program's end. All that it left running has ended by then; its pipe may still be
 * open in a process that is not its own.
 */
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
  /** How many bytes of output are kept, counted from its end. */
  readonly outputKept?: number;
  /** The time in milliseconds after which it is killed; no limit if not given. */
  readonly timeoutMs?: number;
}

/**
 * Runs a program of an env in the env, confined as health commands are: native/confine.c says how. All that it starts ends
 * with it.
 */
export async function runInside(
  mountpoint: string,
  words: readonly string[],
  { outputKept = OUTPUT_KEPT, timeoutMs }: InsideLimits = {},
): Promise<InsideResult> {
  const { code, notStarted, how, stdout, stderr } = await runProgram(
    [confineProgram(), mountpoint, ...words],
    {
      env: {
        PATH: INSIDE_PATH,
        HOME: '/root',
        LC_ALL: 'C.UTF-8',
        DEBIAN_FRONTEND: 'noninteractive',
      },
      outputMax: outputKept,
      ofMore: 'end',
      lingerMs: LAST_OUTPUT_MS,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    },
  );
  // The program's two streams are one; on its own standard error, byref-confine says why it could not begin.
  const said = notStarted === null ? stderr.toString() : how;
  return { code, output: `${stdout.toString()}${said}`.trimEnd() };
}
