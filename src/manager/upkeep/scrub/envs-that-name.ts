import { existsSync } from 'node:fs';
import type { ObjectId } from '../../../base/ids.ts';
import { type DeltaView, readDelta } from '../../../driver/delta/read-delta.ts';
import { envDir, type Store } from '../../../store/store.ts';
import { userName } from '../../sandbox/owner.ts';

/**
 * Returns which envs name objects in their own changes, as for files of which they changed only attributes, by object. It reads the
 * changes of all envs; what can't be read of them names nothing, which byref fsck reports.
 */
export async function envsThatName(
  store: Store,
  ids: ReadonlySet<ObjectId>,
): Promise<Map<ObjectId, Set<string>>> {
  const named = new Map<ObjectId, Set<string>>();
  for (const { id, name } of store.envs()) {
    const directory = envDir(store.root, id);
    const view = existsSync(directory) ? await readDelta(directory).catch(() => null) : null;
    if (view === null) continue;
    try {
      for (const object of objectsOf(view, ids)) {
        named.set(object, (named.get(object) ?? new Set()).add(userName(store, name)));
      }
    } finally {
      await view.close();
    }
  }
  return named;
}

function* objectsOf(view: DeltaView, ids: ReadonlySet<ObjectId>): Generator<ObjectId> {
  try {
    for (const { object } of view.inodes()) if (object !== '' && ids.has(object)) yield object;
  } catch {
    // A damaged record.
  }
}
