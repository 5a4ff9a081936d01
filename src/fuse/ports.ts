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
    caches: cachesOn(granted, notifier),
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

function cachesOn(granted: Granted, notifier: Notifier): KernelCaches {
  return {
    invalidateInode: (node) => {
      notifier.invalidateInode(node);
    },
    expireAttributes: (node) => notifier.expireAttributes(node),
    // Without epochs the core names each entry that changed (SessionPorts.granted.epochs).
    expireNames: () => {
      if (granted.epochs) notifier.incrementEpoch();
    },
  };
}
