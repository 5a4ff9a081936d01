import { ByrefError } from '../base/error.ts';
import { mountLabel } from '../control/mount-table.ts';
import type { MountedEnv, MountRequest } from '../control/protocol.ts';
import type { FileSystem } from '../fs/api.ts';
import { createFileSystem } from '../fs/filesystem.ts';
import type { KernelCaches, Passthrough } from '../fs/ports.ts';
import { mountDevice, openDevice, unmount } from '../fuse/mount.ts';
import { Session } from '../fuse/session.ts';
import { native } from '../native/binding.ts';
import { fileCalls } from '../native/file-calls.ts';
import type { Log } from '../observe/log.ts';
import { capabilities } from './capabilities.ts';
import type { EnvParts } from './env-parts.ts';

/** A mounted env, from the answer to INIT to the end of its connection. */
export interface ServedEnv {
  readonly info: MountedEnv;
  /** This process's descriptor of /dev/fuse; -1 where the transport keeps its own. */
  readonly device: number;
  /** Resolves when the mount is gone, to the errno that said so. */
  readonly ended: Promise<number>;
  /**
   * Ends the mount from this side: what is open in it fails from then on.
   * @param drop makes the holder let go
   */
  abort(drop: () => Promise<void>): Promise<void>;
}

/** Puts the filesystem core over an env's parts; `ports` are what the transport offers it. */
function coreOf(
  parts: EnvParts,
  ports: { passthrough: Passthrough | null; caches: KernelCaches },
): FileSystem {
  const { layers, delta } = parts;
  return createFileSystem({
    layers,
    delta,
    blobs: delta.files,
    files: fileCalls,
    capabilities,
    passthrough: ports.passthrough,
    caches: ports.caches,
  });
}

/** Mounts the env over /dev/fuse; resolves when the kernel may use it. */
export async function serveKernel(
  root: string,
  parts: EnvParts,
  request: MountRequest,
  log: Log,
): Promise<ServedEnv> {
  const { env, mountpoint } = request;
  const device = mountedDevice(root, request);
  const session = new Session({
    devFd: device,
    noPassthrough: !request.passthrough,
    allowIdmap: true,
    fileSystem: (ports) => coreOf(parts, ports),
    log: (message, error) => log.error({ env, err: error }, message),
  });
  const abort = async (drop: () => Promise<void>): Promise<void> => {
    // The last descriptor to go ends the connection; unmounting then waits for nobody.
    await session.detach();
    await drop();
    unmount(mountpoint, true);
  };
  try {
    await session.ready;
  } catch (error) {
    await abort(() => Promise.resolve());
    throw error;
  }
  return {
    info: describe(parts, request, session.granted.passthrough),
    device,
    ended: session.ended,
    abort,
  };
}

function mountedDevice(root: string, { env, mountpoint }: MountRequest): number {
  const device = openDevice();
  if (device < 0) {
    const message = `/dev/fuse can not be opened (errno ${-device})`;
    throw new ByrefError('unsupported', message, 'see what byref doctor says of fuse.device');
  }
  const result = mountDevice(device, mountpoint, mountLabel(root, env), 0);
  if (result === 0) return device;
  native.close(device);
  const message = `mounting on ${mountpoint} failed (errno ${-result})`;
  throw new ByrefError('unsupported', message, 'see what byref doctor says of privileges and fuse');
}

export function describe(parts: EnvParts, request: MountRequest, passthrough: boolean): MountedEnv {
  return {
    env: parts.row.id,
    name: parts.row.name,
    mountpoint: request.mountpoint,
    transport: request.transport,
    passthrough,
    since: new Date().toISOString(),
  };
}
