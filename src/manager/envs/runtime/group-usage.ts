/** Reads what the processes of a running env use, from its control groups. */
import path from 'node:path';
import { procText } from '../../../base/proc.ts';
import { isUnified } from './cgroups.ts';

/** What an env uses. A value is null if the machine does not count it. */
export interface GroupUsage {
  /** Page cache included. */
  readonly memoryBytes: number | null;
  /** Processor time since its start, in milliseconds. */
  readonly cpuMs: number | null;
  readonly processes: number | null;
}

const MOUNTED = '/sys/fs/cgroup';
const US_PER_MS = 1000;
const NS_PER_MS = 1_000_000;

/** Reads the usage of a group. @param group its path in each hierarchy, with a leading slash */
export function groupUsage(group: string): GroupUsage {
  const read = (...parts: string[]): number | null =>
    numberIn(procText(path.join(MOUNTED, ...parts)));
  if (isUnified()) {
    const cpu = /^usage_usec (\d+)$/m.exec(procText(path.join(MOUNTED, group, 'cpu.stat')))?.[1];
    return {
      memoryBytes: read(group, 'memory.current'),
      cpuMs: cpu === undefined ? null : Math.round(Number(cpu) / US_PER_MS),
      processes: read(group, 'pids.current'),
    };
  }
  const ns = read('cpuacct', group, 'cpuacct.usage');
  return {
    memoryBytes: read('memory', group, 'memory.usage_in_bytes'),
    cpuMs: ns === null ? null : Math.round(ns / NS_PER_MS),
    processes: read('pids', group, 'pids.current'),
  };
}

function numberIn(text: string): number | null {
  const number = Number.parseInt(text, 10);
  return Number.isSafeInteger(number) ? number : null;
}
