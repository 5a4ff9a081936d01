import { O_ACCMODE, O_DSYNC, O_RDONLY } from '../../base/mode.ts';
import { DATA_PRIVATE, FLAG_UNSYNCED } from '../../codec/inode-record.ts';
import type { Opened, Result } from './api.ts';
import type { Core } from './core.ts';
import { withFd } from './fd-cache.ts';
import type { Inode } from './inode.ts';
import { release } from './release.ts';

/** Puts everything committed in the env on disk. Resolves to 0 or -errno. */
export function sync(core: Core): Promise<number> {
  return core.delta.dirty ? core.delta.flush() : Promise.resolve(0);
}

/**
 * Puts the file's bytes, and everything committed in the env, on disk. Resolves to 0 or -errno. After a copy-up
 * the bytes must be on disk before the journal may say so, so the two syncs then run one after the other.
 */
export async function syncInode(core: Core, inode: Inode, dataOnly: boolean): Promise<number> {
  if (inode.record.data !== DATA_PRIVATE) return sync(core);
  const bytes = withFd(core.fds, inode, async (fd) => {
    const error = await core.files.fsync(fd, dataOnly);
    // Only now the file system below has allocated its map of the file.
    core.quota.charge(inode.ino, fd);
    return error;
  });
  if (!isUnsynced(inode)) {
    const [error, flushed] = await Promise.all([bytes, sync(core)]);
    return error < 0 ? error : flushed;
  }
  const error = await bytes;
  return error < 0 ? error : markSynced(core, inode);
}

const isUnsynced = ({ record }: Inode): boolean =>
  record.data === DATA_PRIVATE && (record.flags & FLAG_UNSYNCED) !== 0;

function markSynced(core: Core, inode: Inode): number | Promise<number> {
  const { record, copied } = inode;
  if (isUnsynced(inode)) {
    core.tx.begin().set(inode, { ...record, flags: record.flags & ~FLAG_UNSYNCED, object: '' });
    const error = core.tx.commit();
    if (error < 0) return error;
    inode.copied = copied;
  }
  return sync(core);
}

/**
 * Puts a copied-up file's copy on disk before a hole may be made in it, so that recovery does not take the hole
 * for bytes that never got there. Returns 0 or -errno; a promise only if there is something to wait for.
 */
export const syncCopyFirst = (core: Core, inode: Inode): number | Promise<number> =>
  isUnsynced(inode) ? syncInode(core, inode, true) : 0;

/**
 * Holds an open file back until the kernel may have it. By passthrough a program can sync its bytes without asking
 * us (O_SYNC, O_DSYNC, RWF_SYNC, msync), so whatever leads to the file must be on disk before. An open with O_SYNC
 * or O_DSYNC waits for the journal; for others the tag that the file got with its record is enough.
 */
export function whenDurable(
  core: Core,
  inode: Inode,
  flags: number,
  opened: Result<Opened>,
): Result<Opened> | Promise<Result<Opened>> {
  if (typeof opened === 'number' || core.passthrough === null) return opened;
  if ((flags & O_ACCMODE) === O_RDONLY) return opened;
  if ((flags & O_DSYNC) === 0 && !core.delta.needsFlush(inode.ino)) return opened;
  return sync(core).then((error) => {
    if (error === 0) return opened;
    release(core, opened.fh);
    return error;
  });
}
