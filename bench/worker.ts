import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './process.ts';

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
