import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

export const TREE = path.resolve(import.meta.dirname, '../../..');
export const BYREF = path.join(TREE, 'bin/byref');
const BUNDLE = path.join(TREE, 'dist/cli/main.cjs');

/** What a finished program said. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: string;
  /** Milliseconds until it is killed; its code is then -1. */
  readonly timeout?: number;
}

const OUTPUT_MAX = 64 * 1024 * 1024;
export const TIMEOUT_MS = 60_000;

/** Runs a program in a child process, which is how a test touches a mount. Never rejects. */
export function run(
  file: string,
  args: readonly string[],
  { env, cwd, input, timeout = TIMEOUT_MS }: RunOptions = {},
): Promise<Finished> {
  return new Promise((resolve) => {
    const options = {
      env: env ?? process.env,
      cwd: cwd ?? TREE,
      timeout,
      killSignal: 'SIGKILL' as const,
      maxBuffer: OUTPUT_MAX,
    };
    const child = execFile(file, args, options, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr });
    });
    child.stdin?.on('error', () => {});
    child.stdin?.end(input ?? '');
  });
}

/** Runs a program that must succeed; its standard output. @throws with what it said, if it fails */
export async function output(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(file, args, options);
  if (code !== 0) throw new Error(`${[file, ...args].join(' ')}: exit ${code}\n${stdout}${stderr}`);
  return stdout;
}

/** Runs a shell script; `args` are its $1, $2, ... */
export const sh = (script: string, args: readonly string[] = [], options: RunOptions = {}) =>
  run('bash', ['-euc', script, 'sh', ...args], options);

/** Runs `byref`, from a bundle that is as new as the sources. */
export function runByref(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  refreshBundle();
  return run(BYREF, args, options);
}

/** Returns a hash of `byref` as it is built: the same while it does the same. */
export function programHash(): string {
  refreshBundle();
  const hash = createHash('sha256');
  for (const directory of ['dist', 'native/build/Release']) {
    const names = readdirSync(path.join(TREE, directory), { recursive: true, encoding: 'utf8' });
    for (const name of names.filter((file) => /[.](js|cjs|node)$/.test(file)).sort())
      hash.update(readFileSync(path.join(TREE, directory, name)));
  }
  return hash.digest('hex');
}

let fresh = false;

/** scripts/test.sh builds the bundle first; a developer who runs one test need not. */
export function refreshBundle(): void {
  if (fresh) return;
  fresh = true;
  const built = existsSync(BUNDLE) ? statSync(BUNDLE).mtimeMs : 0;
  const sources = readdirSync(path.join(TREE, 'src'), { recursive: true, encoding: 'utf8' });
  const stale = sources
    .filter((file) => file.endsWith('.ts'))
    .some((file) => statSync(path.join(TREE, 'src', file)).mtimeMs > built);
  if (!stale) return;
  // Two workers at once would write into each other's files.
  mkdirSync(path.join(TREE, '.setup'), { recursive: true });
  const lock = path.join(TREE, '.setup/bundle.lock');
  execFileSync('flock', [lock, process.execPath, 'scripts/bundle.mjs'], { cwd: TREE });
}
