import { readFileSync } from 'node:fs';
import type { Capabilities } from '../fs/ports.ts';

/**
 * Effective capabilities of a process, from /proc. A process that ended meanwhile, or that this PID
 * namespace doesn't show, has none.
 */
export const capabilities: Capabilities = {
  has(pid, capability) {
    const mask = effective(pid);
    return ((mask >> BigInt(capability)) & 1n) === 1n;
  },
  makesName: (thread) => MAKE_NAMES[process.arch]?.has(currentCall(thread)) ?? false,
};

/** Numbers of mkdir, mknod, symlink, link, bind, and of their variants with "at", where the machine has both. */
const MAKE_NAMES: Partial<Record<NodeJS.Architecture, ReadonlySet<number>>> = {
  x64: new Set([83, 258, 133, 259, 88, 266, 86, 265, 49]),
  arm64: new Set([34, 33, 36, 37, 200]),
};

/** Looks at a thread that is about to sleep: it is there within microseconds. */
const LOOKS = 200;

/** The number of the system call that the thread waits in; -1 if that is not known. */
function currentCall(thread: number): number {
  try {
    for (let look = 0; look < LOOKS; look++) {
      const call = readFileSync(`/proc/${thread}/syscall`, 'latin1');
      if (!call.startsWith('running')) return Number.parseInt(call, 10);
    }
  } catch {
    // It ended, or this machine does not say.
  }
  return -1;
}

function effective(pid: number): bigint {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    return BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  } catch {
    return 0n;
  }
}
