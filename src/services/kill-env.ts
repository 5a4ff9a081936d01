import { signalFirst } from '../manager/envs/runtime/life-cycle.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { needRunning } from './start-env.ts';

/** A signal that was sent. */
export interface EnvSignalled {
  readonly env: number;
  readonly name: string;
  readonly pid: number;
  readonly signal: number;
}

/** Sends a signal to the first process of an env. @throws ByrefError 'usage' if it does not run */
export function killEnv(store: Store, row: EnvRow, signal: number): EnvSignalled {
  const pid = needRunning(store.root, row);
  signalFirst(store.root, row.id, signal);
  return { env: row.id, name: row.name, pid, signal };
}
