import { appendFileSync } from 'node:fs';

/**
 * Faults that tests can trigger. `BYREF_FAILPOINT=name:N` kills this process (SIGKILL) the N-th time it passes
 * `failpoint(name)`; `BYREF_FAILPOINT=name:N:ERRNO` makes the N-th `failpointError(name)` return -ERRNO, and
 * `BYREF_FAILPOINT=name:N:hold` holds the thread there for half a minute instead of killing the process. A name
 * that ends in `*` counts every failpoint that begins with it. `BYREF_FAILPOINT_HITS=file` adds a line to that file for each failpoint that
 * is passed, or killed at: scripts/failpoints.sh. When nothing is set, a failpoint costs one comparison with null.
 */
interface Armed {
  readonly name: string;
  readonly errno: number;
  readonly holds: boolean;
  left: number;
}

const hits = process.env['BYREF_FAILPOINT_HITS'] ?? '';

/** Stands for none, where hits are counted. */
const NONE: Armed = { name: '', errno: 0, holds: false, left: 0 };

const HOLD_MS = 30_000;

let armed = parse(process.env.BYREF_FAILPOINT);

function parse(text: string | undefined): Armed | null {
  if (text === undefined || text === '') return hits === '' ? null : NONE;
  const [name = '', count = '1', errno = '0'] = text.split(':');
  const holds = errno === 'hold';
  return { name, left: Number(count), errno: holds ? 0 : Number(errno), holds };
}

/** Arms a failpoint (`name:N` or `name:N:ERRNO`), or disarms with '': for tests within one process. */
export function armFailpoint(text: string): void {
  armed = parse(text);
}

/** Counts a failpoint, and returns true if the fault is to happen there. */
function hit(point: Armed, name: string, isError: boolean): boolean {
  const happens = (point.errno !== 0) === isError && isReached(point, name);
  if (hits !== '') appendFileSync(hits, `${happens ? 'fault' : 'passed'} ${name}\n`);
  return happens;
}

function isReached(point: Armed, name: string): boolean {
  const { name: wanted } = point;
  const matches = wanted.endsWith('*') ? name.startsWith(wanted.slice(0, -1)) : name === wanted;
  if (!matches) return false;
  point.left--;
  return point.left === 0;
}

/** Marks a place where the process may be killed. */
export function failpoint(name: string): void {
  if (armed === null || !hit(armed, name, false)) return;
  if (armed.holds) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HOLD_MS);
  else process.kill(process.pid, 'SIGKILL');
}

/** Marks a place where a system call may fail. Returns 0, or the -errno to act upon instead of making the call. */
export function failpointError(name: string): number {
  if (armed === null || !hit(armed, name, true)) return 0;
  return -armed.errno;
}
