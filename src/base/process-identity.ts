/** Names processes so that another one with the same id, later, is not mistaken for them. */
import { procText } from './proc.ts';

/** Where in /proc/PID/stat, after the name in parentheses, state and start of a process stand (proc(5): fields 3 and 22). */
const STATE_AT = 0;
const START_AT = 19;

/** Returns "PID START" of a process; '' if there is none, or it has ended and waits for its parent. */
export function processIdentity(pid: number): string {
  const stat = procText(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const start = fields[START_AT];
  return start === undefined || fields[STATE_AT] === 'Z' ? '' : `${pid} ${start}`;
}

/** Returns the id of the process of this identity while it lives; else null. */
export function livingProcess(identity: string): number | null {
  const pid = Number.parseInt(identity, 10);
  return pid > 0 && processIdentity(pid) === identity.trim() ? pid : null;
}
