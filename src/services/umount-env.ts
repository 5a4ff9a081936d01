import { ByrefError } from '../base/error.ts';
import type { DriverLinks } from '../manager/envs/driver-links.ts';
import { type Holding, holdingNamespaces } from '../manager/envs/holding-namespaces.ts';
import { BundleDir } from '../manager/envs/runtime/bundle-dir.ts';
import type { EnvState } from '../manager/envs/state.ts';
import {
  beginUmount,
  type OnWait,
  type UmountOptions,
  type UmountOutcome,
} from '../manager/envs/umount.ts';
import type { EnvRow } from '../store/store.ts';

/** The outcome of an unmount. */
export interface EnvUnmounted {
  readonly env: number;
  readonly name: string;
  readonly outcome: UmountOutcome;
  /** For `detached`: a process of each other mount namespace that still has it. */
  readonly heldBy: readonly Holding[];
}

/**
 * Unmounts an env. It is out of the tree when the outer promise resolves, and closed when `ended` does, so that one can wait for
 * many at once.
 */
export async function beginUnmount(
  drivers: DriverLinks,
  env: EnvState,
  options: UmountOptions,
  onWait: OnWait,
): Promise<{ readonly ended: Promise<EnvUnmounted> }> {
  const { id, name } = env.row;
  refuseRunning(drivers.root, env.row, options);
  const { ended } = await beginUmount(drivers, env, options, onWait);
  const result = async (): Promise<EnvUnmounted> => {
    const outcome = await ended;
    const heldBy = outcome === 'detached' ? holdingNamespaces(drivers.root, id) : [];
    return { env: id, name, outcome, heldBy };
  };
  return { ended: result() };
}

/** Refuses to unmount an env below its own programs. With --lazy or --force that is what is wanted. */
function refuseRunning(root: string, { id, name }: EnvRow, { lazy, force }: UmountOptions): void {
  if (lazy || force || new BundleDir(root, id).firstProcess() === null) return;
  throw new ByrefError('busy', `${name} is running`, `Stop it first: byref stop ${name}`);
}
