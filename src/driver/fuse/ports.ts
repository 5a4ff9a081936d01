import { native } from '../../native/binding.ts';
import type { KernelCaches, Passthrough } from '../core/ports.ts';
import type { Granted } from './init.ts';
import type { Notifier } from './notify.ts';

/** The ports that a session provides to the core. */
export interface SessionPorts {
  readonly granted: Granted;
  /** Null if the kernel has no passthrough, or if it was not wanted. */
  readonly passthrough: Passthrough | null;
  readonly caches: KernelCaches;
}

/** FUSE_NOTIFY_PRUNE came with this minor version of the protocol, in Linux 6.18. */
const PRUNE_MINOR = 45;

/** Returns the core's ports for one connection, as far as the kernel granted them. */
export function sessionPorts(
  devFd: number,
  mountpoint: string,
  granted: Granted,
  notifier: Notifier,
): SessionPorts {
  return {
    granted,
    passthrough: granted.passthrough ? passthroughOn(devFd) : null,
    caches: {
      knowsWalkers: true,
      expireAttributes: (node) => notifier.expireAttributes(node),
      forget:
        granted.minor >= PRUNE_MINOR ? (nodes) => notifier.forget(nodes) : forgetAll(mountpoint),
      drop: (stale) => notifier.drop(stale),
    },
  };
}

/** An older kernel is asked to forget at most this often, in ms. */
const FORGET_ALL_MS = 1000;

/** Returns a KernelCaches.forget for older kernels, which can only forget everything unused of a mount at once. */
function forgetAll(mountpoint: string): () => Promise<void> {
  const path = Buffer.from(`${mountpoint}\0`);
  let next = 0;
  return async () => {
    if (performance.now() < next) return;
    await native.reconfigureAsync(path, path.length);
    next = performance.now() + FORGET_ALL_MS;
  };
}

function passthroughOn(devFd: number): Passthrough {
  return {
    register: (fd) => native.backingOpen(devFd, fd),
    release: (backingId) => {
      native.backingClose(devFd, backingId);
    },
  };
}
