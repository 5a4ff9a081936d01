/** Lists the processes of a running env, from /proc. */
import { procLink, procNames, procText } from '../../../base/proc.ts';

/** One process of an env. */
export interface EnvProcess {
  /** Its id on the machine. */
  readonly pid: number;
  /** Its id in the env. */
  readonly insidePid: number;
  /** Its user in the env; null if that is not one of the env's. */
  readonly uid: number | null;
  /** Processor time that it has used, in milliseconds. */
  readonly cpuMs: number;
  /** Its resident memory in bytes, shared pages included. */
  readonly memoryBytes: number;
  readonly command: string;
  /** The service that it belongs to, as the env's first process knows it; null if it belongs to none. */
  readonly service: string | null;
  /** The machine's id of its parent. */
  readonly parent: number;
}

/** Clock ticks of /proc per second: USER_HZ, which is the same on all of Linux's platforms. */
const TICKS = 100;
const MS = 1000;
const KIB = 1024;
/** Fields of /proc/PID/stat after the name (proc(5): 4, 14 and 15). */
const PARENT_AT = 1;
const UTIME_AT = 11;
const STIME_AT = 12;

/** Returns the processes in the PID namespace of `first`. */
export function processesOf(first: number): EnvProcess[] {
  const namespace = procLink(`/proc/${first}/ns/pid`);
  if (namespace === '') return [];
  const offset = idOffset(first);
  return procNames('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => procLink(`/proc/${pid}/ns/pid`) === namespace)
    .flatMap((pid) => describe(Number(pid), offset) ?? []);
}

/** Returns the machine's id of the env's user 0, and how many ids follow it. */
function idOffset(first: number): { readonly first: number; readonly size: number } {
  const [, outside = 0, size = 0] = procText(`/proc/${first}/uid_map`)
    .trim()
    .split(/\s+/)
    .map(Number);
  return { first: outside, size };
}

function describe(pid: number, ids: { first: number; size: number }): EnvProcess | null {
  const status = procText(`/proc/${pid}/status`);
  const stat = procText(`/proc/${pid}/stat`);
  if (status === '' || stat === '') return null;
  const numbers = (name: string): number[] =>
    (new RegExp(`^${name}:(.*)$`, 'm').exec(status)?.[1] ?? '')
      .trim()
      .split(/\s+/)
      .map(Number.parseFloat);
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [uid = 0] = numbers('Uid');
  const inside = uid - ids.first;
  const [kib = 0] = numbers('VmRSS');
  const words = procText(`/proc/${pid}/cmdline`).split('\0').slice(0, -1);
  const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
  return {
    pid,
    insidePid: numbers('NSpid').at(-1) ?? 0,
    uid: inside >= 0 && inside < ids.size ? inside : null,
    cpuMs: (((fields[UTIME_AT] ?? 0) + (fields[STIME_AT] ?? 0)) / TICKS) * MS,
    memoryBytes: (Number.isNaN(kib) ? 0 : kib) * KIB,
    service: serviceOf(pid),
    parent: fields[PARENT_AT] ?? 0,
    command: words.length > 0 ? words.join(' ') : `[${name}]`,
  };
}

const SERVICE = /(?:^|\0)BYREF_SERVICE=([^\0]+)/;

/** Reads the variable that native/services.c gives a service, and all that comes from it. */
const serviceOf = (pid: number): string | null =>
  SERVICE.exec(procText(`/proc/${pid}/environ`))?.[1] ?? null;
