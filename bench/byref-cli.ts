import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { abortBelow, unmountBelow } from './mounts.ts';
import { pause, run } from './process.ts';

export const BYREF = join(import.meta.dirname, '..', 'bin', 'byref');

/** One byref root of the bench, driven as a user would: by its command. */
export interface ByrefCli {
  readonly root: string;
  /** What makes BYREF, started by others, use this root. */
  readonly env: Record<string, string>;
  run(...args: string[]): Promise<string>;
  /** Where an env is mounted by default. */
  mountDir(env: string): string;
  mountpoint(env: string): Promise<string>;
  envId(env: string): Promise<number>;
  /** Pids of this root's driver processes, by the title they show in ps. */
  drivers(): number[];
  /** Unmounts what is left, and ends this root's processes. */
  close(): Promise<void>;
}

/** Makes a root, with a run directory of its own, below `dir`. */
export async function byrefCli(dir: string, ...initFlags: string[]): Promise<ByrefCli> {
  if (!existsSync(BYREF))
    throw new Error('bin/byref is missing: run `bash scripts/setup.sh` first');
  const root = join(dir, 'root');
  const env = { BYREF_ROOT: root, BYREF_RUN: join(dir, 'run') };
  const byref = (...args: string[]): Promise<string> => run(BYREF, args, { env });
  mkdirSync(dir, { recursive: true });
  await byref('init', ...initFlags);
  const info = async (name: string): Promise<{ id: number; mountpoint: string | null }> =>
    JSON.parse(await byref('info', name, '--json')) as { id: number; mountpoint: string | null };
  return {
    root,
    env,
    run: byref,
    mountDir: (name) => join(root, 'mnt', name),
    mountpoint: async (name) => {
      const { mountpoint } = await info(name);
      if (!mountpoint) throw new Error(`byref info ${name} --json: no mountpoint`);
      return mountpoint;
    },
    envId: async (name) => (await info(name)).id,
    drivers: () => processesOf('byref-driver', root),
    close: async () => {
      await unmountBelow(root);
      await endProcesses(root);
      // What a driver mounted in its last moment has no server now.
      await abortBelow(root);
      await unmountBelow(root);
    },
  };
}

/** Pids whose command line begins `title root`. */
function processesOf(title: string, root: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split(/[\0 ]+/);
      return words[0] === title && words[1] === root;
    } catch {
      return false; // ended meanwhile
    }
  });
}

async function endProcesses(root: string): Promise<void> {
  const alive = (): number[] =>
    ['byref-driver', 'byref-holder'].flatMap((title) => processesOf(title, root));
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    for (let waited = 0; alive().length && waited < 2000; waited += 100) {
      if (waited === 0) for (const pid of alive()) process.kill(pid, signal);
      await pause(100);
    }
  }
}
