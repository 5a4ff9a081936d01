import type { EnvRow } from '../../store/store.ts';
import { findDriver } from './spawn.ts';

/** Makes the driver of a mounted env keep to the limits of disk that the store has for it; does nothing if none runs. */
export async function tellDiskLimits(root: string, { id, shard }: EnvRow): Promise<void> {
  const driver = await findDriver(root, shard);
  if (driver === null) return;
  try {
    await driver.call('limits', { env: id });
  } finally {
    driver.close();
  }
}
