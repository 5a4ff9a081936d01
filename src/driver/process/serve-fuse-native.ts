import { setTimeout as sleep } from 'node:timers/promises';
import { ByrefError } from '../../base/error.ts';
import { mountSource } from '../../ipc/mount-table.ts';
import type { MountRequest } from '../../ipc/protocol.ts';
import type { Log } from '../../observe/log.ts';
import type { KernelCaches } from '../core/ports.ts';
import { mountFuseNative } from '../fuse-native/mount.ts';
import type { EnvParts } from './env-parts.ts';
import { coreOf, describe, type ServedEnv } from './served-env.ts';

/** Time for running path walks to end, in ms. */
const WALK_MS = 100;

/** Stands for the kernel's caches, of which there are none here: all timeouts of this transport are 0. */
const noCaches: KernelCaches = {
  knowsWalkers: false,
  expireAttributes: () => Promise.resolve(),
  forget: () => Promise.resolve(),
  drop: () => sleep(WALK_MS),
};

/**
 * Mounts the env over libfuse 2, for hosts where we cannot speak the kernel protocol directly. libfuse keeps its
 * descriptor of /dev/fuse to itself, so the holder has none: the mount dies with its driver.
 */
export async function serveFuseNative(
  root: string,
  parts: EnvParts,
  request: MountRequest,
  log: Log,
): Promise<ServedEnv> {
  const { env, mountpoint } = request;
  if (request.trace) {
    const message = 'writers can not be traced over fuse-native, which does not say who asks';
    throw new ByrefError('unsupported', message, 'Mount it by the transport kernel.');
  }
  const fs = coreOf(parts, { passthrough: null, caches: noCaches });
  const mount = await mountFuseNative(fs, mountpoint, {
    source: mountSource(root, env),
    mountFlags: request.mountFlags,
    onFault: (error) => log.error({ env, err: error }, 'fuse-native'),
  });
  const abort = async (): Promise<void> => {
    mount.unmount();
    await mount.ended;
  };
  return {
    info: describe(parts, request, false),
    fs,
    trace: null,
    device: -1,
    kept: null,
    stats: () => null,
    ended: mount.ended,
    hold: null,
    leave: abort,
    abort,
  };
}
