/** Reads what the processes of a running env use, from its control groups. */
import { isUnified } from './cgroups.ts';
import { groupNumber, groupText, namedNumber } from './group-files.ts';

/** What an env uses. A value is null if the machine does not count it. */
export interface GroupUsage {
  /** Page cache included. */
  readonly memoryBytes: number | null;
  /** Processor time since its start, in milliseconds. */
  readonly cpuMs: number | null;
  readonly processes: number | null;
  /** What its programs had disks read and write since its start; on cgroup v1 without what was written from the page cache. */
  readonly readBytes: number | null;
  readonly writtenBytes: number | null;
}

const US_PER_MS = 1000;
const NS_PER_MS = 1_000_000;

/** Reads the usage of a group. @param group its path in each hierarchy, with a leading slash */
export function groupUsage(group: string): GroupUsage {
  if (isUnified()) {
    const us = namedNumber(groupText('', group, 'cpu.stat'), 'usage_usec');
    const io = groupText('', group, 'io.stat');
    return {
      memoryBytes: groupNumber('', group, 'memory.current'),
      cpuMs: us === null ? null : Math.round(us / US_PER_MS),
      processes: groupNumber('', group, 'pids.current'),
      readBytes: io === '' ? null : sumOf(io, /\brbytes=(\d+)/g),
      writtenBytes: io === '' ? null : sumOf(io, /\bwbytes=(\d+)/g),
    };
  }
  const ns = groupNumber('cpuacct', group, 'cpuacct.usage');
  const io = groupText('blkio', group, 'blkio.throttle.io_service_bytes_recursive');
  return {
    memoryBytes: groupNumber('memory', group, 'memory.usage_in_bytes'),
    cpuMs: ns === null ? null : Math.round(ns / NS_PER_MS),
    processes: groupNumber('pids', group, 'pids.current'),
    readBytes: io === '' ? null : sumOf(io, /^\S+ Read (\d+)$/gm),
    writtenBytes: io === '' ? null : sumOf(io, /^\S+ Write (\d+)$/gm),
  };
}

const sumOf = (text: string, number: RegExp): number =>
  [...text.matchAll(number)].reduce((sum, [, each]) => sum + Number(each), 0);
