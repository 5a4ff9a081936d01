import { existsSync } from 'node:fs';
import { procText } from './proc.ts';

const HIERARCHIES = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'];
/** The limit of processes and threads of a control group. */
export interface ProcessLimit {
  readonly max: number;
  /** How many it was refused so far. */
  readonly refused: number;
}

/** Returns the limit that the control group of this process has; null if it has none. */
export function processLimit(): ProcessLimit | null {
  const groups = procText('/proc/self/cgroup').split('\n');
  const line =
    groups.find((each) => each.includes(':pids:')) ?? groups.find((each) => each.startsWith('0::'));
  const group = line?.split(':').slice(2).join(':') ?? '/';
  const hierarchy = HIERARCHIES.find((each) => existsSync(`${each}${group}/pids.max`));
  if (hierarchy === undefined) return null;
  const max = Number.parseInt(procText(`${hierarchy}${group}/pids.max`), 10);
  const events = procText(`${hierarchy}${group}/pids.events`);
  const refused = Number(/^max (\d+)/m.exec(events)?.[1] ?? 0);
  return Number.isNaN(max) ? null : { max, refused };
}
