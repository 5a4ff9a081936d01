/** Makes a mounted or running env stand still while it is copied. */
import { ByrefError } from '../../../base/error.ts';
import { failpoint } from '../../../base/failpoints.ts';
import type { HeldEnv } from '../../../ipc/protocol.ts';
import type { FileLock } from '../../../native/lock-file.ts';
import { findDriver } from '../spawn.ts';
import type { EnvState } from '../state.ts';
import { freezeEnv } from './freezer.ts';

/**
 * Does some work while an env stands still: its processes, if it runs, and in any case what its driver is asked to change. Both go on
 * when this command ends, in whatever way.
 * @param lock of its life cycle
 * @param work gets what there is of the env's journal
 * @returns for how long it stood still, in milliseconds
 * @throws ByrefError 'busy' if it is not served, or does not stand still in time; 'unsupported'; what `work` throws
 */
export async function whileStill(
  root: string,
  { row, firstPid }: EnvState,
  lock: FileLock,
  work: (held: HeldEnv) => Promise<void>,
): Promise<number> {
  const begun = performance.now();
  // The driver has to answer processes before they can stand still.
  const frozen = firstPid === null ? null : await freezeEnv(root, row, lock);
  try {
    failpoint('clone-frozen');
    const driver = await findDriver(root, row.shard);
    try {
      const held = (await driver?.call('hold', { env: row.id })) ?? null;
      if (held === null) throw notServed(row.name);
      failpoint('clone-held');
      await work(held);
      failpoint('clone-done');
    } finally {
      driver?.close();
    }
  } finally {
    await frozen?.thaw();
  }
  return Math.ceil(performance.now() - begun);
}

function notServed(name: string): ByrefError {
  const message = `${name} is no longer served by its driver`;
  return new ByrefError('busy', message, 'See byref list, then run this again.');
}
