/**
 * Runs programs of which the end is awaited and the output wanted. What is read while the program runs, or outlives
 * this process, is spawned where it is used.
 */
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

/** How a program is run. */
export interface RunOptions {
  /** All of its environment; ours if not given. */
  readonly env?: NodeJS.ProcessEnv;
  /** Its working directory; '/' if not given: it must not keep a file system busy. */
  readonly cwd?: string;
  /** The time in milliseconds after which it is killed; no limit if not given. */
  readonly timeoutMs?: number;
  /** Kills it when aborted. */
  readonly signal?: AbortSignal;
  /** How many bytes of each of its streams are kept. */
  readonly outputMax: number;
  /** What is kept of more: 'end', the last bytes; 'none': it is killed, since a part would mislead. */
  readonly ofMore: 'end' | 'none';
  /** Gives it a session of its own: whatever ends it early ends all that it has started, too. */
  readonly ownSession?: boolean;
  /**
   * How long in milliseconds its output is read after its end, if processes that it left running hold it open. If
   * not given, it is read to its end.
   */
  readonly lingerMs?: number;
}

/** How a program ended. */
export interface Ended {
  /** Its exit status; null: it was killed, said too much, or could not be started. */
  readonly code: number | null;
  /** The code of the error if it could not be started, such as ENOENT where there is no such program; else null. */
  readonly notStarted: string | null;
  /** Says it in words: "exit status 1", "no end after 30 s", "signal SIGSEGV", "it could not be started: ...". */
  readonly how: string;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** Says why a program failed: what it printed, or else its name and how it ended. */
export const failureOf = (
  [program = '']: readonly string[],
  ended: Pick<Ended, 'stderr' | 'how'>,
): string => ended.stderr.toString().trim() || `${program}: ${ended.how}`;

/** The last bytes of a stream. */
class Kept {
  /** True if the stream had more. */
  isOver = false;
  private pieces: Buffer[] = [];
  private length = 0;
  private readonly max: number;

  constructor(max: number) {
    this.max = max;
  }

  add(bytes: Buffer): void {
    this.pieces.push(bytes);
    this.length += bytes.length;
    if (this.length > this.max) this.isOver = true;
    // Not at each piece, since this copies what is kept.
    if (this.length > 2 * this.max) this.pieces = [this.end()];
  }

  end(): Buffer {
    const all = Buffer.concat(this.pieces);
    const end = all.subarray(Math.max(0, all.length - this.max));
    this.length = end.length;
    return end;
  }
}

/**
 * Runs a program, with an empty standard input and no descriptor of ours but the pipes that its output is read from.
 * Resolves in any case, when it has ended and its output is read.
 */
export function runProgram(words: readonly string[], options: RunOptions): Promise<Ended> {
  const { env, cwd = '/', timeoutMs, signal, outputMax, ofMore, ownSession, lingerMs } = options;
  const [program = '', ...args] = words;
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd,
      ...(env === undefined ? {} : { env }),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: ownSession === true,
    });
    // Both are missing if this process has no descriptor left for them.
    const streams: readonly (Readable | undefined)[] = [child.stdout, child.stderr];
    const timers: NodeJS.Timeout[] = [];
    const reasons: string[] = [];
    const end = (why: string): void => {
      reasons.push(why);
      // Once it has ended, another process may get its id.
      const isRunning = child.exitCode === null && child.signalCode === null;
      if (child.pid !== undefined && isRunning) kill(ownSession === true ? -child.pid : child.pid);
    };
    const [stdout, stderr] = streams.map((stream) => {
      const kept = new Kept(outputMax);
      stream?.on('data', (bytes: Buffer) => {
        kept.add(bytes);
        if (ofMore === 'none' && kept.isOver) end(`more output than ${outputMax} bytes`);
      });
      return kept;
    }) as [Kept, Kept];
    if (timeoutMs !== undefined) {
      timers.push(setTimeout(() => end(`no end after ${timeoutMs / 1000} s`), timeoutMs));
    }
    const onAbort = (): void => end('it was interrupted');
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    const errors: NodeJS.ErrnoException[] = [];
    child.once('error', (error) => errors.push(error));
    child.once('exit', () => {
      for (const timer of timers.splice(0)) clearTimeout(timer);
      if (lingerMs === undefined) return;
      const close = (): void => {
        for (const stream of streams) stream?.destroy();
      };
      timers.push(setTimeout(close, lingerMs));
    });
    // 'close' comes in any case: also after 'error', and when the streams were destroyed.
    child.once('close', () => {
      for (const timer of timers) clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      const output = { stdout: stdout.end(), stderr: stderr.end() };
      const [error] = errors;
      if (error !== undefined) {
        const how = `it could not be started: ${error.message}`;
        resolve({ code: null, notStarted: error.code ?? error.message, how, ...output });
        return;
      }
      const isCut = ofMore === 'none' && (stdout.isOver || stderr.isOver);
      const code = isCut ? null : child.exitCode;
      const last = code === null ? `signal ${child.signalCode}` : `exit status ${code}`;
      const how = code === null ? (reasons[0] ?? last) : last;
      resolve({ code, notStarted: null, how, ...output });
    });
  });
}

/** @param pid negative: a group */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended just now.
  }
}
