/**
 * Addressable faults, for tests: `BYREF_FAILPOINT=name:N` kills this process (SIGKILL) the N-th time
 * it comes by `failpoint(name)`; `BYREF_FAILPOINT=name:N:ERRNO` makes the N-th `failpointError(name)`
 * yield -ERRNO. A name that ends in `*` counts every failpoint that begins so. Nothing set: one comparison
 * with null.
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

/** Arms (`name:N` or `name:N:ERRNO`) or, with '', disarms: for tests within one process. */
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

/** A place where the process may die. */
export function failpoint(name: string): void {
  if (armed === null || armed.errno !== 0 || !hit(armed, name)) return;
  process.kill(process.pid, 'SIGKILL');
}

/** A place where a system call may fail: 0, or the -errno to act upon instead of calling it. */
export function failpointError(name: string): number {
  if (armed === null || armed.errno === 0 || !hit(armed, name)) return 0;
  return -armed.errno;
}
