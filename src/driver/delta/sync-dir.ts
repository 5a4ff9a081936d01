import { O_CLOEXEC } from '../../base/mode.ts';
import { AT_FDCWD, native } from '../../native/binding.ts';
import { openFile } from '../../native/open-file.ts';

/** Opens a directory. Returns a descriptor, or -errno. */
export const openDir = (dir: string): number => openFile(AT_FDCWD, dir, O_CLOEXEC, 0);

/** Does fsync on a directory, by path. Resolves to 0 or -errno. There are too few descriptors to keep one per env. */
export async function syncDir(dir: string): Promise<number> {
  const fd = openDir(dir);
  if (fd < 0) return fd;
  try {
    return await native.fsyncAsync(fd, false);
  } finally {
    native.close(fd);
  }
}

/** Does what syncDir() does, but waits for the disk: for recovery, before anything is served. */
export function syncDirNow(dir: string): number {
  const fd = openDir(dir);
  if (fd < 0) return fd;
  const result = native.fsync(fd, false);
  native.close(fd);
  return result;
}
