/**
 * Faults that tests can trigger. `BYREF_FAILPOINT=name:N` kills this process (SIGKILL) the N-th time it passes
 * `failpoint(name)`; `BYREF_FAILPOINT=name:N:ERRNO` makes the N-th `failpointError(name)` return -ERRNO. A name
 * that ends in `*` counts every failpoint that begins with it. When nothing is set, a failpoint costs one
 * comparison with null.
 */
interface Armed {
  readonly name: string;
  readonly errno: number;
  left: number;
}

let armed = parse(process.env.BYREF_FAILPOINT);

function parse(text: string | undefined): Armed | null {
  if (text === undefined || text === '') return null;
  const [name = '', count = '1', errno = '0'] = text.split(':');
  return { name, left: Number(count), errno: Number(errno) };
}

/** Arms a failpoint (`name:N` or `name:N:ERRNO`), or disarms with '': for tests within one process. */
export function armFailpoint(text: string): void {
  armed = parse(text);
}

function hit(point: Armed, name: string): boolean {
  const { name: wanted } = point;
  const matches = wanted.endsWith('*') ? name.startsWith(wanted.slice(0, -1)) : name === wanted;
  if (!matches) return false;
  point.left--;
  return point.left === 0;
}

/** Marks a place where the process may be killed. */
export function failpoint(name: string): void {
  if (armed === null || armed.errno !== 0 || !hit(armed, name)) return;
  process.kill(process.pid, 'SIGKILL');
}

/** Marks a place where a system call may fail. Returns 0, or the -errno to act upon instead of making the call. */
export function failpointError(name: string): number {
  if (armed === null || armed.errno === 0 || !hit(armed, name)) return 0;
  return -armed.errno;
}
