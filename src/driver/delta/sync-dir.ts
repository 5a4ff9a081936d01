import { O_CLOEXEC } from '../../base/mode.ts';
import { AT_FDCWD, native } from '../../native/binding.ts';

/** fsync of a directory, by path: 0 or -errno. Descriptors are too few to keep one per env. */
export async function syncDir(dir: string): Promise<number> {
  const fd = native.openAt(AT_FDCWD, dir, O_CLOEXEC, 0);
  if (fd < 0) return fd;
  try {
    return await native.fsyncAsync(fd, false);
  } finally {
    native.close(fd);
  }
}

/** The same, waiting for it: for recovery, before anything is served. */
export function syncDirNow(dir: string): number {
  const fd = native.openAt(AT_FDCWD, dir, O_CLOEXEC, 0);
  if (fd < 0) return fd;
  const result = native.fsync(fd, false);
  native.close(fd);
  return result;
}
