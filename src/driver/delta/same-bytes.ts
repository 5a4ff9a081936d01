import { native, STAT, STAT_SLOTS } from '../../native/binding.ts';

/** Longer files are not compared: this runs on the JS thread, and 4 MiB in memory take about 1 ms. */
const COMPARED_MAX = 4 * 1024 * 1024;
const CHUNK = 128 * 1024;

const stat = new Float64Array(STAT_SLOTS);

/** Returns true if two open files have the same bytes; false also if they are longer than 4 MiB. */
export function hasSameBytes(one: number, other: number): boolean {
  const size = sizeOf(one);
  if (size < 0 || size > COMPARED_MAX || size !== sizeOf(other)) return false;
  const [a, b] = [Buffer.allocUnsafe(CHUNK), Buffer.allocUnsafe(CHUNK)];
  for (let at = 0; at < size; at += CHUNK) {
    const length = Math.min(CHUNK, size - at);
    if (native.pread(one, a, 0, length, at) !== length) return false;
    if (native.pread(other, b, 0, length, at) !== length) return false;
    if (!a.subarray(0, length).equals(b.subarray(0, length))) return false;
  }
  return true;
}

const sizeOf = (fd: number): number => (native.statFd(fd, stat) < 0 ? -1 : stat[STAT.size]!);
