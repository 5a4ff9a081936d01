import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import { type EnvProcess, processesOf } from '../manager/envs/runtime/processes.ts';
import { unitOf } from '../manager/envs/runtime/units.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { needRunning } from './start-env.ts';

/** Lists the processes of a running env; with systemd, the services are its units. @throws ByrefError 'usage' if it does not run */
export function envProcesses(store: Store, row: EnvRow): readonly EnvProcess[] {
  const processes = processesOf(needRunning(store.root, row));
  const { root } = store;
  if (new BundleDir(root, row.id).note()?.isSystemd !== true) return processes;
  return processes.map((each) => ({ ...each, service: unitOf(root, row.id, each.pid) }));
}
