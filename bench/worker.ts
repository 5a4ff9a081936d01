import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pause, run } from './process.ts';

const SOURCES = join(import.meta.dirname, 'work');
/** Linked statically into every peer's tree: what the exec row starts. */
const NOTHING = 'nothing.c';

/** The compiled measuring loops; see work/work.h. */
export interface Worker {
  readonly program: string;
  /** A static program that returns 0. */
  readonly nothing: string;
}

export async function compileWorker(dir: string): Promise<Worker> {
  const program = join(dir, 'work');
  const nothing = join(dir, 'nothing');
  const sources = readdirSync(SOURCES).filter((name) => name.endsWith('.c') && name !== NOTHING);
  const paths = sources.map((name) => join(SOURCES, name));
  await run('gcc', ['-O2', '-Wall', '-Wextra', '-o', program, ...paths]);
  await run('gcc', ['-O2', '-static', '-o', nothing, join(SOURCES, NOTHING)]);
  return { program, nothing };
}

/** Runs one loop with `root` as its directory. Resolves to nanoseconds per operation. */
export async function work(
  worker: Worker,
  root: string,
  args: readonly (string | number)[],
  env: Record<string, string> = {},
): Promise<number> {
  const line = await run(worker.program, [root, ...args.map(String)], { env });
  const [ns, ops] = line.trim().split(' ').map(Number);
  if (ns === undefined || !ops) throw new Error(`work ${args.join(' ')}: answered "${line}"`);
  return ns / ops;
}

/** For FUSE servers to work off the FORGETs that a drop sends them. */
const SETTLE_MS = 200;

export type CacheLevel = 'dentries' | 'all';

/**
 * Empties the kernel's caches: dentries and inodes, or pages as well. Dirty ones can't be dropped, so
 * all is written first.
 */
export async function dropCaches(level: CacheLevel): Promise<void> {
  await run('sync', []);
  writeFileSync('/proc/sys/vm/drop_caches', level === 'all' ? '3' : '2');
  await pause(SETTLE_MS);
}
