import { EBUSY, ENODEV, ENOTCONN } from '../../base/errno.ts';
import { ByrefError } from '../../base/error.ts';
import { mountDevice } from '../../driver/fuse/mount.ts';
import { mountLabel } from '../../ipc/mount-table.ts';
import type { MountedEnv } from '../../ipc/protocol.ts';
import { native } from '../../native/binding.ts';
import type { EnvRow, Store } from '../../store/store.ts';
import { findDriver } from './spawn.ts';

/**
 * Mounts an env in this mount namespace, too, when its driver serves it already: it is the same file system, with the files
 * and locks that others have in it. If a connection already has a superblock, the kernel mounts that one again.
 * @returns null if it is no longer served
 * @throws ByrefError 'busy' if another command has mounted it there meanwhile
 */
export async function attachEnv(
  store: Store,
  row: EnvRow,
  mountpoint: string,
  mountFlags: number,
): Promise<MountedEnv | null> {
  const driver = await findDriver(store.root, row.shard);
  if (driver === null) return null;
  try {
    const env = row.id;
    const device = await driver.call('device', { env });
    const fd = device === null ? -1 : native.takeFd(device.pid, device.fd);
    if (fd < 0) return null;
    try {
      // The descriptor's number may have become that of another env's device since; so ask whether it is still this one's.
      if ((await driver.call('device', { env }))?.fd !== device?.fd) return null;
      const result = mountDevice(fd, mountpoint, mountLabel(store.root, env), mountFlags);
      if (result === -ENOTCONN || result === -ENODEV) return null;
      if (result === -EBUSY) throw mountedMeanwhile(row.name, mountpoint);
      if (result < 0) throw failed(mountpoint, -result);
    } finally {
      native.close(fd);
    }
    return await driver.call('attached', { env, mountpoint });
  } finally {
    driver.close();
  }
}

/** The kernel mounts one file system only once on one place. */
function mountedMeanwhile(name: string, mountpoint: string): ByrefError {
  const message = `another command has just mounted ${name} on ${mountpoint}`;
  return new ByrefError('busy', message, 'Nothing is left to do; byref list shows it.');
}

function failed(mountpoint: string, errno: number): ByrefError {
  const message = `mounting on ${mountpoint} failed (errno ${errno})`;
  return new ByrefError(
    'unsupported',
    message,
    'See what byref doctor says of privileges and fuse.',
  );
}
