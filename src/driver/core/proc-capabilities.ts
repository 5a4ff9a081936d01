import { readFileSync, readlinkSync } from 'node:fs';
import { procLink, procText } from '../../base/proc.ts';
import type { Capabilities } from './ports.ts';

/**
 * Rights of a process, from /proc, read anew each time: a pid may be another process's by the next request. A
 * process that ended meanwhile, or that this PID namespace does not show (its pid is 0 then), has none.
 */
export const capabilities: Capabilities = {
  /**
   * Every user has all capabilities in a user namespace that he makes for himself, so they count only in the
   * driver's own. The namespace is read after them: one that a process goes to meanwhile is seen then.
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

/** The kernel's functions that send LOOKUP; the innermost one did. */
const REVALIDATE = 'fuse_dentry_revalidate';
const ASKS_FOR_NAME = new RegExp(`^(${REVALIDATE}|fuse_lookup)`);

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

/** The functions of the kernel that the thread waits in, the innermost first; empty if that is not known. */
function kernelStack(thread: number): string[] {
  try {
    for (let look = 0; look < LOOKS; look++) {
      const stack = readFileSync(`/proc/${thread}/stack`, 'latin1');
      // Nothing is shown of a thread that still runs, on another CPU.
      if (stack !== '') return stack.split('\n').map((line) => line.slice(line.indexOf(' ') + 1));
    }
  } catch {
    // It ended, or this machine does not say.
  }
  return [];
}

/** A link such as "user:[4026531837]". It names one namespace for as long as somebody is in it, as this process is. */
const OWN_NAMESPACE = readlinkSync('/proc/self/ns/user');

const status = (pid: number): string => procText(`/proc/${pid}/status`);

/** The bits of a status file's CapEff; none if it says nothing. */
const effective = (status: string): bigint =>
  BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);

/** The numbers after a key of a status file; group ids are those of this process's user namespace. */
const numbers = (status: string, key: string): number[] =>
  new RegExp(`^${key}:(.*)$`, 'm').exec(status)?.[1]?.trim().split(/\s+/).map(Number) ?? [];
