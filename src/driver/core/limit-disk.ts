import type { Core } from './core.ts';
import type { Inode } from './inode.ts';
import type { DiskLimits } from './ports.ts';

/** How often a file is looked at that the kernel writes by itself, in ms. */
const LOOK_MS = 1000;

/** Implements EnvFileSystem.limitDisk. */
export function limitDisk(core: Core, limits: DiskLimits): void {
  const wasBounded = core.quota.boundsBytes;
  core.quota.set(limits);
  if (core.quota.boundsBytes && !wasBounded) watchPassthrough(core);
}

/**
 * Counts what the kernel writes by passthrough: files that were opened for writing, or mapped, before there was a limit.
 * It can't be refused; but what it took is missed by all other writes.
 */
function watchPassthrough(core: Core): void {
  const isWritten = (inode: Inode): boolean =>
    inode.isPrivateData && (inode.mayBeMapped || (inode.writers > 0 && inode.backing !== null));
  const watched = new Set([...core.inodes.values()].filter(isWritten));
  if (watched.size === 0) return;
  const timer = setInterval(() => {
    for (const inode of watched) {
      if (core.inodes.peek(inode.ino) === inode && isWritten(inode))
        core.quota.charge(inode.ino, -1);
      else watched.delete(inode);
    }
    if (watched.size === 0 || !core.quota.boundsBytes) clearInterval(timer);
  }, LOOK_MS);
  timer.unref();
}
