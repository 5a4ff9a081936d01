import { type EnvUsage, envUsage } from '../manager/envs/usage.ts';
import { needPeoplesEnv, peoplesEnvs } from '../manager/sandbox/owner.ts';
import type { Store } from '../store/store.ts';

/** How many bytes an env takes, as `byref df` shows it. */
export interface NamedUsage extends EnvUsage {
  readonly name: string;
}

/** Sums up the usage of one env, or of all. @param env null: all @throws ByrefError 'notFound' */
export function diskUsage(store: Store, env: string | null): NamedUsage[] {
  const rows = env === null ? peoplesEnvs(store) : [needPeoplesEnv(store, env)];
  return rows.map((row) => ({ name: row.name, ...envUsage(store, row) }));
}
