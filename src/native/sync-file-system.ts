import { O_CLOEXEC, O_RDONLY } from '../base/mode.ts';
import { AT_FDCWD, native } from './binding.ts';

/** Does syncfs(2): puts everything on the file system that a directory is on, on disk. Resolves to 0 or -errno. */
export async function syncFileSystem(directory: string): Promise<number> {
  const fd = native.openAt(AT_FDCWD, directory, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  const result = await native.syncfsAsync(fd);
  native.close(fd);
  return result;
}
