import { existsSync, readdirSync } from 'node:fs';
import { ByrefError } from '../../base/error.ts';
import { PeerGone } from '../../ipc/client.ts';
import { RunDir } from '../../ipc/run-dir.ts';
import { findDriver, findHolder } from './spawn.ts';

/** A driver's files, and its shard. */
const DRIVER_LOCK = /^shard-(\d+)[.]lock$/;

/**
 * Ends the processes of a root that was removed from this path. They would go on with what was removed, and know nothing of
 * a root that is made here now.
 * @throws ByrefError 'busy' if they still serve envs
 */
export async function endServersOf(root: string): Promise<void> {
  const { path } = new RunDir(root);
  const files = existsSync(path) ? readdirSync(path) : [];
  const shards = files.flatMap((file) => DRIVER_LOCK.exec(file)?.[1] ?? []).map(Number);
  for (const shard of shards) {
    const driver = await findDriver(root, shard);
    if (driver)
      await end(root, () => driver.call('stop', { force: false })).finally(() => driver.close());
  }
  const holder = await findHolder(root);
  if (holder)
    await end(root, () => holder.call('stop', { force: false })).finally(() => holder.close());
}

async function end(root: string, stop: () => Promise<null>): Promise<void> {
  try {
    await stop();
  } catch (error) {
    if (error instanceof ByrefError && error.code === 'busy') throw stillMounted(root);
    if (!(error instanceof PeerGone)) throw error;
  }
}

function stillMounted(root: string): ByrefError {
  const message = `envs of the root that was at ${root} before are still mounted`;
  const hint = 'Unmount them with umount (findmnt --types fuse.byref lists them), then try again.';
  return new ByrefError('busy', message, hint);
}
