/**
 * Reads how short a running env is of what it may use. Stalls (PSI) are counted for each group of the v2 hierarchy, which a machine with
 * v1 controllers has beside them, if it is mounted; what met a limit is counted by the controllers.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { procText } from '../../../base/proc.ts';
import { isUnified } from './cgroups.ts';
import { groupNumber, groupText, namedNumber } from './group-files.ts';

/** The part of the time, in percent, in which processes waited: over the last 10 seconds, and the last minute. */
export interface Stall {
  /** At least one of them. */
  readonly some10: number;
  readonly some60: number;
  /** All that were not idle. */
  readonly full10: number;
  readonly full60: number;
}

/** The pressure of an env. A value is null if the machine does not count it. */
export interface GroupPressure {
  readonly cpu: Stall | null;
  readonly memory: Stall | null;
  readonly io: Stall | null;
  /** How long it was held back by limits.cpu since its start, in milliseconds. */
  readonly cpuThrottledMs: number | null;
  /** How often it wanted more memory than limits.memory; most often pages of files were given back for that. */
  readonly memoryLimitHits: number | null;
  /** Programs that were killed for want of memory. */
  readonly memoryKills: number | null;
  /** How often it wanted more processes than limits.processes. */
  readonly processLimitHits: number | null;
}

const MOUNTED = '/sys/fs/cgroup';
const US_PER_MS = 1000;
const NS_PER_MS = 1_000_000;

/** Reads the pressure of a group. @param group its path in each hierarchy, with a leading slash */
export function groupPressure(group: string): GroupPressure {
  const pressure = (name: string): Stall | null => stallIn(stallText(group, `${name}.pressure`));
  return {
    cpu: pressure('cpu'),
    memory: pressure('memory'),
    io: pressure('io'),
    ...(isUnified() ? unifiedHits(group) : hits(group)),
    processLimitHits: namedNumber(groupText('pids', group, 'pids.events'), 'max'),
  };
}

type Hits = Pick<GroupPressure, 'cpuThrottledMs' | 'memoryLimitHits' | 'memoryKills'>;

function unifiedHits(group: string): Hits {
  const events = groupText('', group, 'memory.events');
  return {
    cpuThrottledMs: ms(namedNumber(groupText('', group, 'cpu.stat'), 'throttled_usec'), US_PER_MS),
    memoryLimitHits: namedNumber(events, 'max'),
    memoryKills: namedNumber(events, 'oom_kill'),
  };
}

function hits(group: string): Hits {
  const oom = groupText('memory', group, 'memory.oom_control');
  return {
    cpuThrottledMs: ms(
      namedNumber(groupText('cpu', group, 'cpu.stat'), 'throttled_time'),
      NS_PER_MS,
    ),
    memoryLimitHits: groupNumber('memory', group, 'memory.failcnt'),
    memoryKills: namedNumber(oom, 'oom_kill'),
  };
}

const ms = (time: number | null, perMs: number): number | null =>
  time === null ? null : Math.round(time / perMs);

function stallText(group: string, file: string): string {
  const hybrid = path.join(MOUNTED, 'unified');
  return procText(path.join(existsSync(hybrid) ? hybrid : MOUNTED, group, file));
}

function stallIn(text: string): Stall | null {
  const number = (line: string, average: string): number =>
    Number(new RegExp(`^${line} .*\\b${average}=([\\d.]+)`, 'm').exec(text)?.[1] ?? 0);
  if (!text.startsWith('some ')) return null;
  return {
    some10: number('some', 'avg10'),
    some60: number('some', 'avg60'),
    full10: number('full', 'avg10'),
    full60: number('full', 'avg60'),
  };
}
