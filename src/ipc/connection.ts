import { AT_FDCWD, native, STAT, STAT_SLOTS } from '../native/binding.ts';

/**
 * Flag of statx(2): take what the kernel knows, and do not ask the file system, which may hang or be this
 * process.
 */
const AT_STATX_DONT_SYNC = 0x4000;

const stat = new Float64Array(STAT_SLOTS);

/**
 * Returns the number of the FUSE connection that `path` is in, as in /sys/fs/fuse/connections: the minor number
 * of its file system's device. -1 if the path can't be examined, or its device has a major number, which FUSE's
 * do not.
 */
export function connectionAt(path: string): number {
  if (native.statAt(AT_FDCWD, path, stat, AT_STATX_DONT_SYNC) < 0) return -1;
  const device = stat[STAT.dev]!;
  const major = (device >>> 8) & 0xfff;
  return major === 0 ? ((device & 0xff) | ((device >>> 12) & 0xfff00)) >>> 0 : -1;
}
