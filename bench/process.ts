import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';

/** Longer than any one measurement here takes; a mount that hangs is given up after it. */
const LIMIT_MS = 180_000;

export class TimeoutError extends Error {}
export class InterruptedError extends Error {}

const running = new Set<ChildProcess>();
let interruption: string | undefined;

/**
 * Kills what run() started, and makes every run() reject with an InterruptedError until allowRuns():
 * so whatever is going on unwinds, and cleaning up begins when nothing else is at work.
 */
export function interruptRuns(why: string): void {
  interruption = why;
  for (const child of running) child.kill('SIGKILL');
}

export function allowRuns(): void {
  interruption = undefined;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  readonly limitMs?: number;
}

/**
 * Runs a program to its end and resolves to its stdout. Rejects with its stderr if it fails, and with
 * a TimeoutError if it takes too long, with an InterruptedError after interruptRuns(). Never waits for a process that a dead mount keeps in the
 * kernel: the caller aborts the mount, and the process then ends by itself.
 */
export function run(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const spawnOptions: SpawnOptions = {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    env: { ...process.env, LC_ALL: 'C', ...options.env },
  };
  if (interruption !== undefined) return Promise.reject(new InterruptedError(interruption));
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, spawnOptions);
    running.add(child);
    let stdout = '';
    let stderr = '';
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(
        new TimeoutError(
          `${file} ${args.join(' ')}: no end after ${options.limitMs ?? LIMIT_MS} ms`,
        ),
      );
    }, options.limitMs ?? LIMIT_MS);
    child.stdout?.on('data', (bytes: Buffer) => (stdout += bytes.toString()));
    child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
    child.on('error', (error) => {
      clearTimeout(timer);
      running.delete(child);
      reject(error);
    });
    // 'exit' and not 'close': a daemon that the program left behind may keep the pipes open.
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      running.delete(child);
      setImmediate(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
        if (code === 0) resolve(stdout);
        else if (interruption !== undefined) reject(new InterruptedError(interruption));
        else reject(new Error(`${file} ${args.join(' ')}: ${signal ?? code}: ${stderr.trim()}`));
      });
    });
  });
}

export const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
