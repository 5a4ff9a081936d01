/** Lets an env see the new files of objects that were damaged, and that a repair has replaced. */
import type { ObjectId } from '../../base/ids.ts';
import { DATA_OBJECT, type InodeRecord } from '../../codec/inode-record.ts';
import type { Core } from './core.ts';
import type { Handle } from './handles.ts';
import type { Inode } from './inode.ts';
import { readsOldObject } from './open.ts';

type Objects = ReadonlySet<ObjectId>;

/**
 * Closes what this process has open of the old files, and has the kernel drop their pages: the next open, and reads that come to
 * this process, get the new ones. What programs have open by passthrough stays the old file until all of them have closed it,
 * because the kernel takes no other backing file for it meanwhile. Resolves to the number of such open files.
 */
export async function readAnew(core: Core, objects: Objects): Promise<number> {
  const files: number[] = [];
  for (const inode of core.inodes.values()) {
    const isNow = isOf(objects, inode.record);
    if (!isNow && !isOf(objects, inode.first?.record)) continue;
    files.push(inode.node, ...(inode.first === null ? [] : [inode.ino]));
    if (isNow) letGoOf(core, inode);
  }
  await core.caches.drop({ names: [], dirs: [], inodes: [], files });
  return [...core.handles.values()].filter((handle) => readsOldFile(objects, handle)).length;
}

const isOf = (objects: Objects, record: InodeRecord | undefined): boolean =>
  record?.data === DATA_OBJECT && record.object !== '' && objects.has(record.object);

function letGoOf(core: Core, inode: Inode): void {
  core.fds.drop(inode);
  if (inode.backing === null) return;
  if (inode.backing.opens > 0) {
    inode.backing.isOld = true;
    return;
  }
  core.passthrough?.release(inode.backing.id);
  inode.backing = null;
  core.noteInode(inode);
}

function readsOldFile(objects: Objects, { inode, backing }: Handle): boolean {
  if (backing === null) return false;
  return isOf(objects, readsOldObject(inode, backing) ? inode.first?.record : inode.record);
}
