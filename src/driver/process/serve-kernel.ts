import { ByrefError } from '../../base/error.ts';
import { mountLabel } from '../../ipc/mount-table.ts';
import type { MountRequest } from '../../ipc/protocol.ts';
import { native } from '../../native/binding.ts';
import type { Log } from '../../observe/log.ts';
import type { EnvFileSystem } from '../core/api.ts';
import { traced } from '../core/traced.ts';
import { mountDevice, openDevice, unmount } from '../fuse/mount.ts';
import { Session } from '../fuse/session.ts';
import type { EnvParts } from './env-parts.ts';
import { coreOf, describe, type ServedEnv } from './served-env.ts';
import { WriterTrace } from './writers/writer-trace.ts';

/** Mounts the env over /dev/fuse. Resolves when the kernel may use it. */
export async function serveKernel(
  root: string,
  parts: EnvParts,
  request: MountRequest,
  log: Log,
): Promise<ServedEnv> {
  const { env, mountpoint } = request;
  const device = mountedDevice(root, request);
  // Set at INIT, which comes before the session is ready.
  let fs!: EnvFileSystem;
  const trace = request.trace ? new WriterTrace() : null;
  const session = new Session({
    devFd: device,
    mountpoint,
    noPassthrough: !request.passthrough,
    allowIdmap: true,
    fileSystem: (ports) => {
      const core = coreOf(parts, ports);
      fs = trace === null ? core : traced(core, trace);
      return fs;
    },
    identify: trace?.identify ?? null,
    log: (message, error) => log.error({ env, err: error }, message),
  });
  const abort = async (drop: () => Promise<void>): Promise<void> => {
    // The connection ends when the last descriptor is closed; unmounting then waits for nothing.
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
    fs,
    trace,
    device,
    stats: () => session.stats(),
    ended: session.ended,
    hold: () => session.hold(),
    abort,
  };
}

function mountedDevice(root: string, { env, mountpoint, mountFlags }: MountRequest): number {
  const device = openDevice();
  if (device < 0) {
    const message = `/dev/fuse can not be opened (errno ${-device})`;
    throw new ByrefError('unsupported', message, 'See what byref doctor says of fuse.device.');
  }
  const result = mountDevice(device, mountpoint, mountLabel(root, env), mountFlags);
  if (result === 0) return device;
  native.close(device);
  const message = `mounting on ${mountpoint} failed (errno ${-result})`;
  throw new ByrefError(
    'unsupported',
    message,
    'See what byref doctor says of privileges and fuse.',
  );
}
