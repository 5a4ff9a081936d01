/**
 * Before versions are removed, moves envs' own records of the versions' files on to the versions that the envs
 * see. Otherwise, when such an env is mounted, it would no longer be known that it only set attributes of a
 * file, and which.
 */
import { isPrivateIno } from '../../../base/ids.ts';
import { isDir } from '../../../base/mode.ts';
import { touchedOnly } from '../../../driver/core/follow.ts';
import type { LowerTree } from '../../../driver/core/ports.ts';
import type { DeltaView } from '../../../driver/delta/read-delta.ts';
import { envMounts } from '../../../ipc/mount-table.ts';
import type { Store } from '../../../store/store.ts';
import { openView } from '../../rollout/meets.ts';
import { actOffline } from '../../rollout/offline.ts';

/**
 * Updates stopped envs; the store must be open for writing. Mounted envs were updated when they went to their
 * versions.
 */
export async function takeStoppedAlong(store: Store): Promise<void> {
  const mounted = envMounts(store.root);
  for (const row of store.envs()) {
    if (mounted.has(row.id)) continue;
    const view = await openView(store, row);
    if (view === null) continue;
    let isBehind = false;
    try {
      isBehind = isLeftBehind(view, store.lowerTree(store.resolveStack(row)));
    } finally {
      await view.close();
    }
    if (isBehind) await actOffline(store, row, []);
  }
}

function isLeftBehind(view: DeltaView, lower: LowerTree): boolean {
  for (const { dir, name, ino, type } of view.changedNames()) {
    if (ino === 0 || isPrivateIno(ino) || isPrivateIno(dir) || isDir(type)) continue;
    const is = lower.lookup(dir, name);
    if (is?.ino === ino) continue;
    if (touchedOnly({ delta: view, lower }, { dir, name, was: null, is }) !== null) return true;
  }
  return false;
}
