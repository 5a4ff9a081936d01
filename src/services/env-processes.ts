import { type EnvProcess, processesOf } from '../manager/envs/runtime/processes.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { needRunning } from './start-env.ts';

/** Lists the processes of a running env. @throws ByrefError 'usage' if it does not run */
export const envProcesses = (store: Store, row: EnvRow): readonly EnvProcess[] =>
  processesOf(needRunning(store.root, row));
