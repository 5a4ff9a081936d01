import { atOnce } from '../base/at-once.ts';
import { ByrefError } from '../base/error.ts';
import { needPeoplesEnv, peoplesEnvs } from '../manager/sandbox/owner.ts';
import type { EnvRow, Store } from '../store/store.ts';
import type { Context } from './command.ts';
import { reportError, reportFailure } from './errors.ts';
import { setExitCode } from './output.ts';
import { printLines } from './print.ts';

/**
 * Returns the named envs, each once, or with --all every one. A name that no env has is reported, and the
 * others go on.
 * @throws ByrefError 'usage' for neither names nor --all, or both
 */
export function chooseEnvs(
  { json }: Context,
  store: Store,
  names: readonly string[],
  all: boolean,
): EnvRow[] {
  if (all && names.length > 0) throw new ByrefError('usage', '--all takes no names', 'Drop one.');
  if (all) return peoplesEnvs(store);
  if (names.length === 0) throw new ByrefError('usage', 'no env named', 'Name one, or say --all.');
  const chosen = new Map<number, EnvRow>();
  for (const name of names) {
    try {
      const row = needPeoplesEnv(store, name);
      chosen.set(row.id, row);
    } catch (error) {
      setExitCode(reportError(error, json));
    }
  }
  return [...chosen.values()];
}

/**
 * Does `work` for each env, and prints what came of it, unless --json is given. An error in one is reported and does not stop the
 * others; the exit code of the last error is the command's.
 * @returns the results in the order of the envs, without those that failed
 */
export async function forEachEnv<E, T>(
  context: Context,
  envs: readonly E[],
  work: (env: E) => Promise<T>,
  text: (result: T) => readonly string[],
): Promise<T[]> {
  return forEachEnvAtOnce(context, envs, async (env) => ({ ended: await work(env) }), text);
}

/**
 * Does the same as forEachEnv for work in two parts: `begin` runs for `limit` envs at a time, in their order, and all that it
 * returns is waited for together. Results are printed as they come.
 */
export async function forEachEnvAtOnce<E, T>(
  context: Context,
  envs: readonly E[],
  begin: (env: E) => Promise<{ readonly ended: Promise<T> | T }>,
  text: (result: T) => readonly string[],
  limit = 1,
): Promise<T[]> {
  const failed = async (error: unknown): Promise<null> => {
    setExitCode(await reportFailure(error, context.json));
    return null;
  };
  const told = async (ended: Promise<T> | T): Promise<T> => {
    const result = await ended;
    if (!context.json) printLines(...text(result));
    return result;
  };
  // In an object, so that it is not waited for yet.
  const begun = await atOnce(envs, limit, async (env) => {
    const one = await begin(env).catch(failed);
    return { ended: one === null ? Promise.resolve(null) : told(one.ended).catch(failed) };
  });
  const results = await Promise.all(begun.map(({ ended }) => ended));
  return results.filter((result) => result !== null);
}
