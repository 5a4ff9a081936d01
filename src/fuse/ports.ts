import type { KernelCaches, Passthrough } from '../fs/ports.ts';
import { native } from '../native/binding.ts';
import type { Granted } from './init.ts';
import type { Notifier } from './notify.ts';

/** What a session offers to the core. */
export interface SessionPorts {
  readonly granted: Granted;
  /** Null if the kernel has no passthrough, or it was not wanted. */
  readonly passthrough: Passthrough | null;
  readonly caches: KernelCaches;
}

export function sessionPorts(devFd: number, granted: Granted, notifier: Notifier): SessionPorts {
  return {
    granted,
    passthrough: granted.passthrough ? passthroughOn(devFd) : null,
    caches: {
      knowsWalkers: true,
      expireAttributes: (node) => notifier.expireAttributes(node),
      forget: (nodes) => notifier.forget(nodes),
      drop: (stale) => notifier.drop(stale),
    },
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
