import path from 'node:path';
import { ByrefError } from '../base/error.ts';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import type { EnvRow, Store } from '../store/store.ts';
import { needRunning } from './start-env.ts';

/** Returns the socket at which the monitor of an env shows its output: native/monitor.c. @throws ByrefError 'usage', 'busy' */
export function consoleSocket(store: Store, row: EnvRow): string {
  needRunning(store.root, row);
  const bundle = new BundleDir(store.root, row.id);
  if (bundle.isMonitored) return path.join(bundle.path, 'attach.sock');
  const message = `the monitor of ${row.name} is gone, and its terminal with it`;
  throw new ByrefError('busy', message, `Restart it: byref restart ${row.name}`);
}
