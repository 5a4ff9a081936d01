import { setImmediate as turn } from 'node:timers/promises';
import { type NodeId, ROOT_INO } from '../../base/ids.ts';
import type { Core } from './core.ts';

/** The most inodes looked at in one turn of the event loop. */
const LOOKED_AT_MAX = 8192;

/**
 * Implements EntryKeeper.letGo. The kernel by itself keeps inodes that it has a reference to, such as a working
 * directory.
 */
export async function letGo(core: Core, max: number): Promise<number> {
  const nodes: NodeId[] = [];
  const looked = core.inodes.oldest(LOOKED_AT_MAX, (inode) => {
    if (inode.ino === ROOT_INO || inode.isOpen || inode.copying !== null) return true;
    if (inode.lookups > 0) nodes.push(inode.node);
    if (inode.first !== null) nodes.push(inode.ino as number as NodeId);
    return nodes.length < max;
  });
  if (nodes.length > 0) await core.caches.forget(nodes);
  // The FORGET requests wait in the device, which the event loop reads in each of its turns.
  await turn();
  await turn();
  return looked;
}
