import { ByrefError } from '../base/error.ts';
import { needPeoplesEnv, peoplesEnvs } from '../scratch/owner.ts';
import type { EnvRow, Store } from '../store/store.ts';
import type { Context } from './command.ts';
import { reportError } from './errors.ts';
import { printLines } from './print.ts';
import { printJson } from './table.ts';

/** The named envs, or with --all every one. */
export function chooseEnvs(store: Store, names: readonly string[], all: boolean): EnvRow[] {
  if (all && names.length > 0) throw new ByrefError('usage', '--all takes no names', 'drop one');
  if (all) return peoplesEnvs(store);
  if (names.length === 0) throw new ByrefError('usage', 'no env named', 'name one, or say --all');
  return names.map((name) => needPeoplesEnv(store, name));
}

/**
 * Does `work` to each env; an error with one is reported and does not stop the others, and the last
 * one's exit code is the command's. With --json the results are one array, in the order of the envs,
 * without those that failed.
 */
export async function forEachEnv<E, T>(
  context: Context,
  envs: readonly E[],
  work: (env: E) => Promise<T>,
  text: (result: T) => readonly string[],
): Promise<void> {
  const results: T[] = [];
  for (const env of envs) {
    try {
      const result = await work(env);
      results.push(result);
      if (!context.json) printLines(...text(result));
    } catch (error) {
      process.exitCode = reportError(error, context.json);
    }
  }
  if (context.json) printJson(results);
}
