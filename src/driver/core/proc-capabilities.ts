import { readFileSync, readlinkSync } from 'node:fs';
import { procLink, procText } from '../../base/proc.ts';
import type { Capabilities } from './ports.ts';

/**
 * Answers questions about a process from /proc. It reads anew each time, because a pid may be another process's by
 * the next request. A process that ended meanwhile, or that this PID namespace does not show (its pid is 0 then),
 * has no rights.
 */
export const capabilities: Capabilities = {
  /**
   * Capabilities count only in the driver's own user namespace, because every user has all of them in a namespace
   * that he makes himself. The namespace is read after the capabilities, so that a change to another one in
   * between is seen.
   */
  has: (pid, capability) =>
    pid > 0 &&
    ((effective(status(pid)) >> BigInt(capability)) & 1n) === 1n &&
    procLink(`/proc/${pid}/ns/user`) === OWN_NAMESPACE,
  inGroup(pid, gid) {
    if (pid <= 0) return false;
    const text = status(pid);
    const [, , , fileSystemGroup] = numbers(text, 'Gid');
    return fileSystemGroup === gid || numbers(text, 'Groups').includes(gid);
  },
  makesName: (thread) => MAKE_NAMES[process.arch]?.has(currentCall(thread)) ?? false,
  revalidates(thread) {
    const stack = kernelStack(thread);
    const at = stack.findIndex((frame) => ASKS_FOR_NAME.test(frame));
    return (stack[at]?.startsWith(REVALIDATE) && stack[at + 1]?.startsWith('ovl_')) ?? false;
  },
};

/** The kernel's functions that send LOOKUP; the innermost of them on the stack is the one that sent it. */
const REVALIDATE = 'fuse_dentry_revalidate';
const ASKS_FOR_NAME = new RegExp(`^(${REVALIDATE}|fuse_lookup)`);

/** System call numbers of mkdir, mknod, symlink, link, bind, and of their "at" variants where the machine has both. */
const MAKE_NAMES: Partial<Record<NodeJS.Architecture, ReadonlySet<number>>> = {
  x64: new Set([83, 258, 133, 259, 88, 266, 86, 265, 49]),
  arm64: new Set([34, 33, 36, 37, 200]),
};

/** How often to look at a thread that is about to sleep: it does so within microseconds. */
const LOOKS = 200;

/** Returns the number of the system call that the thread waits in; -1 if not known. */
function currentCall(thread: number): number {
  try {
    for (let look = 0; look < LOOKS; look++) {
      const call = readFileSync(`/proc/${thread}/syscall`, 'latin1');
      if (!call.startsWith('running')) return Number.parseInt(call, 10);
    }
  } catch {
    // The thread ended, or this machine does not say.
  }
  return -1;
}

/** Returns the kernel functions that the thread waits in, the innermost first; empty if not known. */
function kernelStack(thread: number): string[] {
  try {
    for (let look = 0; look < LOOKS; look++) {
      const stack = readFileSync(`/proc/${thread}/stack`, 'latin1');
      // While a thread still runs, on another CPU, its stack reads as empty.
      if (stack !== '') return stack.split('\n').map((line) => line.slice(line.indexOf(' ') + 1));
    }
  } catch {
    // The thread ended, or this machine does not say.
  }
  return [];
}

/**
 * This process's user namespace, as a link such as "user:[4026531837]". The link names one namespace as long as
 * some process is in it, as this one is.
 */
const OWN_NAMESPACE = readlinkSync('/proc/self/ns/user');

const status = (pid: number): string => procText(`/proc/${pid}/status`);

/** Returns the bits of a status file's CapEff; 0 if it says nothing. */
const effective = (status: string): bigint =>
  BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);

/** Returns the numbers after a key of a status file; group ids are those of this process's user namespace. */
const numbers = (status: string, key: string): number[] =>
  new RegExp(`^${key}:(.*)$`, 'm').exec(status)?.[1]?.trim().split(/\s+/).map(Number) ?? [];
